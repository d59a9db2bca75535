"""Studies that race, stop early, or pick their winner by another rule: real models, real rows."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from clipsweep.analysis.store.table import ResultsTable, Row, unpack_margins, unpack_outcomes
from clipsweep.cluster.replica import Batch, Replica
from clipsweep.orchestrator.folder.open_study import forget_end, prepare, reopen
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import read_status
from clipsweep.orchestrator.study.schema import check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.ladder import make_rungs

MakeStudy = Callable[..., dict[str, Any]]
Run = Callable[..., list[Row]]
N_ROWS = 100
SPACE = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": [0, 0.3, 0.5, 0.7, 0.9], "shots": [2]}


@pytest.fixture
def run(make_study: MakeStudy, tmp_path: Path, cache: Path) -> Run:
    """Run a small study with these search keys; gives every stored attempt in order."""

    def run_it(folder: str = "s", space: dict[str, Any] | None = None, **search: Any) -> list[Row]:
        content = make_study(task={"validation_size": N_ROWS}, space={**SPACE, **(space or {})}, search=search)
        run_study(check_study(content), tmp_path / folder, cache, Console(quiet=True))
        return ResultsTable(tmp_path / folder).read()

    return run_it


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, int] | None]]:
    """Split and rows of every trial that a replica evaluates from now on."""
    seen: list[tuple[str, tuple[int, int] | None]] = []
    evaluate = Replica.evaluate

    def watch(self: Replica, batch: Batch) -> Any:
        seen.extend((trial.spec.split, trial.rows) for trial in batch.trials)
        return evaluate(self, batch)

    monkeypatch.setattr(Replica, "evaluate", watch)
    return seen


def latest(rows: list[Row], split: str = "validation") -> dict[str, Row]:
    return {row["trial_id"]: row for row in rows if row["split"] == split}


def of_point(rows: list[Row]) -> dict[tuple[Any, ...], Row]:
    return {(row["layer"], row["module"], row["clip_rate"]): row for row in latest(rows).values()}


DRIVERS: dict[str, dict[str, Any]] = {"grid": {}, "algorithm1": {"top_k": 2}, "bayes": {"n_trials": 12}}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("race", ["halving", "test"])
def test_a_race_sees_fewer_rows_and_has_a_winner(run: Run, driver: str, race: str, tmp_path: Path) -> None:
    rows = run(driver=driver, race=race, **DRIVERS[driver])
    points = latest(rows).values()
    complete = [row for row in points if row["state"] == "complete"]
    assert {row["state"] for row in points} <= {"complete", "pruned"}
    assert len(complete) >= 2
    assert {row["state"] for row in latest(rows, "test").values()} == {"complete"}
    if race == "halving":
        others = [row for row in points if row["clips"]]  # of which the best of each module sees all rows
        assert sum(row["n_examples"] for row in others) < 0.5 * N_ROWS * len(others)
    assert read_status(reopen(tmp_path / "s"))["state"] == "done"


def test_rows_of_a_race_are_the_first_rows_of_a_whole_evaluation(run: Run) -> None:
    raced, whole = of_point(run("raced", race="halving")), of_point(run("whole"))
    assert len(raced) == len(whole)
    rungs = make_rungs(N_ROWS)
    for point, row in raced.items():
        assert row["n_examples"] in rungs
        assert np.array_equal(unpack_outcomes(row), unpack_outcomes(whole[point])[: row["n_examples"]])
        assert margins_of(row) == pytest.approx(margins_of(whole[point])[: row["n_examples"]], rel=1e-2, abs=1e-3)
    complete = [point for point, row in raced.items() if row["state"] == "complete"]
    for metric in ("accuracy", "macro_f1", "gold_logprob", "calibration_error", "operations"):
        ours, theirs = ([rows[point][metric] for point in complete] for rows in (raced, whole))
        assert ours == pytest.approx(theirs, rel=0.2 if metric == "operations" else 1e-4)


def margins_of(row: Row) -> list[float]:
    margins = unpack_margins(row)
    assert margins is not None
    assert len(margins) == row["n_examples"]
    return margins.tolist()


def test_no_row_is_evaluated_twice(run: Run, evaluated: list[tuple[str, tuple[int, int]]]) -> None:
    rows = run(race="halving")
    spans = [span for split, span in evaluated if split == "validation"]
    assert sum(last - first for first, last in spans) == sum(row["n_examples"] for row in latest(rows).values())


def test_running_a_finished_race_again_evaluates_nothing(run: Run, evaluated: list[Any]) -> None:
    before = run(race="halving")
    del evaluated[:]
    assert run(race="halving") == before
    assert not evaluated


@pytest.mark.parametrize("race", [None, "halving"])
def test_running_a_finished_search_again_loads_no_model(
    run: Run, race: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = run(driver="bayes", race=race, n_trials=6)

    def never(*_args: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(Replica, "__init__", never)
    assert run(driver="bayes", race=race, n_trials=6) == before


@pytest.mark.parametrize("driver", DRIVERS)
def test_stopped_trials_are_continued_where_they_stopped(
    run: Run, evaluated: list[tuple[str, Any]], driver: str
) -> None:
    before = latest(run(driver=driver, race="halving", **DRIVERS[driver]))
    stopped = [row["n_examples"] for row in before.values() if row["state"] == "pruned"]
    del evaluated[:]
    after = latest(run(driver=driver, **DRIVERS[driver]))
    assert after.keys() == before.keys()
    assert {row["state"] for row in after.values()} == {"complete"}
    assert sorted(span[0] for split, span in evaluated if split == "validation") == sorted(stopped)
    assert all(after[key]["attempt"] > row["attempt"] for key, row in before.items() if row["state"] == "pruned")


def test_a_race_that_was_cut_off_goes_on_from_its_rows(
    run: Run, evaluated: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = of_point(run("whole", race="halving"))
    evaluate = Replica.evaluate
    calls = iter(range(100))

    def cut_off(self: Replica, batch: Batch) -> Any:
        if next(calls) == 20:
            raise KeyboardInterrupt
        return evaluate(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Replica, "evaluate", cut_off)
        partly = run("cut", race="halving")
    assert read_status(reopen(tmp_path / "cut"))["state"] == "interrupted"
    resumed = of_point(run("cut", race="halving"))
    assert {point: row["n_examples"] for point, row in resumed.items()} == {
        point: row["n_examples"] for point, row in whole.items()
    }
    assert all(np.array_equal(unpack_outcomes(resumed[point]), unpack_outcomes(row)) for point, row in whole.items())
    assert 0 < len(partly) < 35


def test_a_raced_search_that_grows_lets_its_earlier_points_race_on(run: Run, evaluated: list[tuple[str, Any]]) -> None:
    before = latest(run(driver="bayes", race="halving", n_trials=6))
    del evaluated[:]
    after = latest(run(driver="bayes", race="halving", n_trials=14))
    assert len(after) > len(before)
    assert all(after[key]["n_examples"] >= row["n_examples"] for key, row in before.items())
    spans = [span for split, span in evaluated if split == "validation"]
    seen = sum(row["n_examples"] for row in after.values()) - sum(row["n_examples"] for row in before.values())
    assert sum(last - first for first, last in spans) == seen


def test_a_search_without_a_number_of_trials_is_done_only_at_its_end(run: Run, tmp_path: Path) -> None:
    run(driver="bayes", patience=2)
    status = read_status(reopen(tmp_path / "s"))
    assert (status["state"], status["stopped_by"]) == ("done", "search.patience: 2")
    forget_end(tmp_path / "s")  # as the next run does before anything runs
    assert read_status(reopen(tmp_path / "s"))["state"] == "interrupted"


def test_the_untouched_model_and_its_rivals_are_never_run_on_test_before_the_winner_is_picked(
    run: Run, evaluated: list[tuple[str, Any]]
) -> None:
    run(race="halving")
    splits = [split for split, _ in evaluated]
    assert "test" in splits
    assert all(first <= second for first, second in pairwise(split == "test" for split in splits))


def test_a_search_stops_after_n_trials_and_says_so(run: Run, tmp_path: Path) -> None:
    rows = run(n_trials=3, space={"clip_rates": [0.5, 0.9]})
    assert len([row for row in latest(rows).values() if row["clips"]]) == 3
    status = read_status(reopen(tmp_path / "s"))
    assert (status["state"], status["stopped_by"], status["done"]) == ("done", "search.n_trials: 3", status["total"])


def test_a_limited_search_is_planned_with_as_many_points(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    space = {"clip_rates": [0.5, 0.9], "demo_seeds": [0, 1]}
    study = check_study(make_study(space=space, search={"n_trials": 3}))
    assert plan_study(study, tmp_path / "s", cache)["trials_to_run"] == (1 + 3) * 2


def test_a_larger_limit_goes_on(run: Run, tmp_path: Path) -> None:
    run(n_trials=3, space={"clip_rates": [0.5, 0.9]})
    rows = run(space={"clip_rates": [0.5, 0.9]})
    assert len([row for row in latest(rows).values() if row["clips"]]) == 8
    assert read_status(reopen(tmp_path / "s"))["stopped_by"] is None


def test_a_race_on_few_rows_is_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    study = check_study(make_study(task={"validation_size": 99}, search={"race": "test"}))
    with pytest.raises(StudyError, match="search.race is 'test', but validation has 99 rows; expected 100 or more"):
        prepare(study, tmp_path / "s", cache)


def test_patience_has_no_meaning_where_halving_waits_for_all(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match="'search.patience' is 3, but in driver 'grid' with race 'halving' no point"):
        check_study(make_study(search={"race": "halving", "patience": 3}))


@pytest.mark.parametrize(
    ("race", "words"), [("halving", "of many trials leaves 36 % of the rows"), ("test", "what it saves is not known")]
)
def test_a_plan_says_that_it_does_not_count_what_a_race_saves(
    make_study: MakeStudy, tmp_path: Path, cache: Path, race: str, words: str
) -> None:
    content = make_study(task={"validation_size": N_ROWS}, search={"race": race})
    assert words in plan_study(check_study(content), tmp_path / "s", cache)["notes"][0]
