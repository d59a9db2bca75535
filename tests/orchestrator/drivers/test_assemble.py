"""Studies that race, stop early, or pick their winner by another rule: real models, real rows."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Batch
from clipsweep.orchestrator.folder.end import forget_end
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.words import describe_status
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import changed
from tests.orchestrator.stored import all_rows, status_of

MakeStudy = Callable[..., dict[str, Any]]
Run = Callable[..., list[StoredRow]]
N_ROWS = 100
SPACE = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": [0, 0.3, 0.5, 0.7, 0.9], "shots": [2]}
N_POINTS = 1 + 2 * 2 * 4  # the untouched model; layers, modules and rates above 0


@pytest.fixture
def run(make_study: MakeStudy, tmp_path: Path, cache: Path) -> Run:
    """Run a small study with these search keys; gives every stored attempt in order."""

    def run_it(folder: str = "s", space: dict[str, Any] | None = None, **search: Any) -> list[StoredRow]:
        content = make_study(task={"validation_size": N_ROWS}, space={**SPACE, **(space or {})}, search=search)
        run_study(check_study(content), tmp_path / folder, cache, Console(quiet=True))
        return list(all_rows(tmp_path / folder))

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


def interrupt_at(patch: pytest.MonkeyPatch, number: int) -> None:
    """End the run at once when so many calls of the replica have been answered."""
    evaluate, calls = Replica.evaluate, count()

    def cut_off(self: Replica, batch: Batch) -> Any:
        if next(calls) == number:
            raise KeyboardInterrupt
        return evaluate(self, batch)

    patch.setattr(Replica, "evaluate", cut_off)


def latest(rows: list[StoredRow], split: str = "validation") -> dict[str, StoredRow]:
    return {row.trial_id: row for row in rows if row.split == split}


def states(rows: Iterable[StoredRow]) -> set[TrialState]:
    return {row.state for row in rows}


def of_point(rows: list[StoredRow]) -> dict[tuple[Any, ...], StoredRow]:
    return {(row.layer, row.module, row.clip_rate): row for row in latest(rows).values()}


def rows_seen(rows: Mapping[str, StoredRow]) -> int:
    return sum(row.n_examples for row in rows.values())


def seen_in(evaluated: Sequence[tuple[str, tuple[int, int] | None]]) -> int:
    """Validation rows of the trials that were evaluated."""
    spans = [span or (0, N_ROWS) for split, span in evaluated if split == "validation"]
    return sum(last - first for first, last in spans)


DRIVERS: dict[str, dict[str, Any]] = {"grid": {}, "algorithm1": {"top_k": 2}, "bayes": {"n_trials": 12}}
RACES: dict[str, dict[str, Any]] = {
    "halving": {},
    "neighbours": {},
    "test": {"indifference": 0.15},  # so that 100 rows stop someone
}


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("race", RACES)
def test_a_race_sees_fewer_rows_and_has_a_winner(run: Run, driver: str, race: str, tmp_path: Path) -> None:
    rows = run(driver=driver, race=race, **RACES[race], **DRIVERS[driver])
    points = latest(rows).values()
    complete = [row for row in points if row.is_complete]
    assert states(points) == {TrialState.COMPLETE, TrialState.PRUNED}
    assert len(complete) >= 2
    assert states(latest(rows, "test").values()) == {TrialState.COMPLETE}
    if race == "halving":
        others = [row for row in points if row.clips]  # of which the best of each module sees all rows
        assert sum(row.n_examples for row in others) < 0.5 * N_ROWS * len(others)
    assert status_of(tmp_path / "s")["state"] == "done"


def test_rows_of_a_race_are_the_first_rows_of_a_whole_evaluation(run: Run) -> None:
    raced, whole = of_point(run("raced", race="halving")), of_point(run("whole"))
    assert len(raced) == len(whole) == N_POINTS
    rungs = make_rungs(N_ROWS)
    for point, row in raced.items():
        assert row.n_examples in rungs
        assert np.array_equal(row.outcomes, whole[point].outcomes[: row.n_examples])
        assert margins_of(row) == pytest.approx(margins_of(whole[point])[: row.n_examples], rel=1e-2, abs=1e-3)
    complete = [point for point, row in raced.items() if row.is_complete]
    assert len(complete) >= 2
    for column in ("accuracy", "macro_f1", "gold_logprob", "calibration_error", "operations"):
        ours, theirs = ([rows[point].record()[column] for point in complete] for rows in (raced, whole))
        assert ours == pytest.approx(theirs, rel=0.2 if column == "operations" else 1e-4)


def margins_of(row: StoredRow) -> list[float]:
    assert row.margins is not None
    assert len(row.margins) == row.n_examples
    return list(row.margins)


def test_no_row_is_evaluated_twice(run: Run, evaluated: list[tuple[str, tuple[int, int] | None]]) -> None:
    rows = run(race="halving")
    assert seen_in(evaluated) == rows_seen(latest(rows))


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


def test_a_race_whose_points_speak_for_each_other_chooses_them_and_evaluates_no_row_twice(
    run: Run, evaluated: list[tuple[str, tuple[int, int] | None]], tmp_path: Path
) -> None:
    search = {"driver": "bayes", "sampler": "neighbours", "race": "neighbours"}
    run(**search, n_trials=6)
    points = latest(run(**search, n_trials=14))
    assert TrialState.PRUNED in states(points.values())
    assert any(row.is_complete and row.clips for row in points.values())
    assert seen_in(evaluated) == rows_seen(points)
    assert status_of(tmp_path / "s")["state"] == "done"


@pytest.mark.parametrize("driver", DRIVERS)
def test_stopped_trials_are_continued_where_they_stopped(
    run: Run, evaluated: list[tuple[str, Any]], driver: str
) -> None:
    before = latest(run(driver=driver, race="halving", **DRIVERS[driver]))
    stopped = {key: row for key, row in before.items() if row.state is TrialState.PRUNED}
    assert len(stopped) > 0
    del evaluated[:]
    after = latest(run(driver=driver, **DRIVERS[driver]))
    assert after.keys() == before.keys()
    assert states(after.values()) == {TrialState.COMPLETE}
    begun = [row.n_examples for row in stopped.values()]
    assert sorted(span[0] for split, span in evaluated if split == "validation") == sorted(begun)
    assert all(after[key].attempt > row.attempt for key, row in stopped.items())


def test_a_race_that_was_cut_off_goes_on_from_its_rows(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = of_point(run("whole", race="halving"))
    assert len(whole) == N_POINTS
    with monkeypatch.context() as patch:
        interrupt_at(patch, 20)
        partly = run("cut", race="halving")
    assert status_of(tmp_path / "cut")["state"] == "interrupted"
    resumed = of_point(run("cut", race="halving"))
    assert {point: row.n_examples for point, row in resumed.items()} == {
        point: row.n_examples for point, row in whole.items()
    }
    assert all(np.array_equal(resumed[point].outcomes, row.outcomes) for point, row in whole.items())
    assert 0 < len(partly) < 35


def test_an_interrupted_race_leaves_trials_that_wait_and_status_counts_them(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    interrupt_at(monkeypatch, 20)
    rows = latest(run(race="halving")).values()
    waiting = [row for row in rows if row.state is TrialState.PARTIAL]
    assert states(rows) == {TrialState.COMPLETE, TrialState.PARTIAL}
    status = status_of(tmp_path / "s")
    assert (status["partial"], status["pruned"]) == (len(waiting), 0)
    assert f", {len(waiting)} part of their rows seen, 0 failed" in describe_status(status)


def test_an_ended_race_leaves_no_trial_that_waits_and_status_counts_those_it_stopped(run: Run, tmp_path: Path) -> None:
    stopped = [row for row in latest(run(race="halving")).values() if row.state is TrialState.PRUNED]
    status = status_of(tmp_path / "s")
    assert (status["partial"], status["pruned"]) == (0, len(stopped))
    assert len(stopped) > 0
    assert f", {len(stopped)} of them stopped early by the race, 0 failed" in describe_status(status)


def test_that_a_trial_was_stopped_is_an_attempt_of_its_own_with_the_values_of_its_last_part(run: Run) -> None:
    history: dict[str, list[StoredRow]] = {}
    for row in run(race="halving"):
        history.setdefault(row.trial_id, []).append(row)
    stopped = [rows for rows in history.values() if rows[-1].state is TrialState.PRUNED]
    assert len(stopped) > 0
    for *parts, part, end in stopped:
        assert states([*parts, part]) == {TrialState.PARTIAL}
        assert end == changed(part, state="pruned", attempt=part.attempt + 1)


@pytest.mark.parametrize("race", ["halving", None])
def test_trials_that_wait_go_on_in_the_next_run_from_where_they_are(
    run: Run, evaluated: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch, race: str | None
) -> None:
    with monkeypatch.context() as patch:
        interrupt_at(patch, 20)
        before = latest(run(race="halving"))
    assert TrialState.PARTIAL in states(before.values())
    del evaluated[:]
    after = latest(run(race=race))
    assert TrialState.PARTIAL not in states(after.values())
    assert seen_in(evaluated) == rows_seen(after) - rows_seen(before)


def test_a_raced_search_that_grows_lets_its_earlier_points_race_on(run: Run, evaluated: list[tuple[str, Any]]) -> None:
    before = latest(run(driver="bayes", race="halving", n_trials=6))
    del evaluated[:]
    after = latest(run(driver="bayes", race="halving", n_trials=14))
    assert len(after) > len(before) == 1 + 6
    assert all(after[key].n_examples >= row.n_examples for key, row in before.items())
    assert seen_in(evaluated) == rows_seen(after) - rows_seen(before)


def test_a_study_that_was_stopped_while_it_went_on_without_its_race_is_not_done(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run(race="halving")
    interrupt_at(monkeypatch, 0)
    run()
    assert status_of(tmp_path / "s")["state"] == "interrupted"


def test_a_search_without_a_number_of_trials_is_done_only_at_its_end(run: Run, tmp_path: Path) -> None:
    run(driver="bayes", patience=2)
    status = status_of(tmp_path / "s")
    assert (status["state"], status["stopped_by"]) == ("done", "search.patience: 2")
    forget_end(StudyFolder(tmp_path / "s"))  # as the next run does before anything runs
    assert status_of(tmp_path / "s")["state"] == "interrupted"


def test_the_untouched_model_and_its_rivals_are_never_run_on_test_before_the_winner_is_picked(
    run: Run, evaluated: list[tuple[str, Any]]
) -> None:
    run(race="halving")
    splits = [split for split, _ in evaluated]
    assert {*splits} == {"validation", "test"}
    assert all(first <= second for first, second in pairwise(split == "test" for split in splits))


def test_a_search_stops_after_n_trials_and_says_so(run: Run, tmp_path: Path) -> None:
    rows = run(n_trials=3, space={"clip_rates": [0.5, 0.9]})
    assert len([row for row in latest(rows).values() if row.clips]) == 3
    status = status_of(tmp_path / "s")
    assert (status["state"], status["stopped_by"], status["done"]) == ("done", "search.n_trials: 3", status["total"])


def test_a_limited_search_is_planned_with_as_many_points(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    space = {"clip_rates": [0.5, 0.9], "demo_seeds": [0, 1]}
    study = check_study(make_study(space=space, search={"n_trials": 3}))
    assert plan_study(study, tmp_path / "s", cache)["trials_to_run"] == (1 + 3) * 2


def test_a_larger_limit_goes_on(run: Run, tmp_path: Path) -> None:
    run(n_trials=3, space={"clip_rates": [0.5, 0.9]})
    rows = run(space={"clip_rates": [0.5, 0.9]})
    assert len([row for row in latest(rows).values() if row.clips]) == 8
    assert status_of(tmp_path / "s")["stopped_by"] is None


def test_a_race_on_few_rows_is_refused(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    study = check_study(make_study(task={"validation_size": 99}, search={"race": "test"}))
    with pytest.raises(StudyError, match="search.race is 'test', but validation has 99 rows; expected 100 or more"):
        prepare(study, tmp_path / "s", cache)


@pytest.mark.parametrize("race", RACES)
def test_patience_has_no_meaning_where_a_race_waits_for_all(make_study: MakeStudy, race: str) -> None:
    with pytest.raises(StudyError, match=f"'search.patience' is 3, but in driver 'grid' with race '{race}' no point"):
        check_study(make_study(search={"race": race, "patience": 3}))


@pytest.mark.parametrize(
    ("race", "words"), [("halving", "of many trials leaves 36 % of the rows"), ("test", "what it saves is not known")]
)
def test_a_plan_says_that_it_does_not_count_what_a_race_saves(
    make_study: MakeStudy, tmp_path: Path, cache: Path, race: str, words: str
) -> None:
    content = make_study(task={"validation_size": N_ROWS}, search={"race": race})
    assert words in plan_study(check_study(content), tmp_path / "s", cache)["notes"][0]
