"""Every stored row equals its re-evaluation, bit by bit: the trial alone, whole, on a new replica."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.analysis.row.packing import pack_margins, pack_outcomes
from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.cluster.local_pool import LocalPool
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Batch
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.run.start_pool import start_pool
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import Trial, TrialSpec
from tests.conftest import tiny_study
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.stored import latest_rows

RACES: dict[str, dict[str, Any]] = {
    "halving": {"race": "halving"},
    "test": {"race": "test", "indifference": 0.3},
}
SEARCHES: dict[str, dict[str, Any]] = {
    "bayes": {"race": "halving", "driver": "bayes", "n_trials": 10, "sampler": "random"},
    "algorithm1": {"race": "test", "indifference": 0.3, "driver": "algorithm1", "top_k": 2},
}
SPACE = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": [0, 0.3, 0.6, 0.9], "shots": [2]}
COLUMNS = ("accuracy", "macro_f1", "gold_logprob", "calibration_error")
SIZE = 7  # divides no rung


def raced(model: Path, **search: Any) -> dict[str, Any]:
    """A study whose trials are evaluated in parts."""
    sizes = {"validation_size": 101, "test_size": 0}
    return tiny_study(model, task=sizes, space=SPACE, search=search, cluster={"microbatch": SIZE})


def run(content: dict[str, Any], folder: Path, cache: Path) -> list[StoredRow]:
    run_study(check_study(content), folder, cache, Console(quiet=True))
    return list(latest_rows(folder).values())


def again(folder: Path, cache: Path, rows: Iterable[StoredRow]) -> list[Record]:
    """What the trials of some rows give now, one by one from the last to the first, of the examples that they saw."""
    prepared = prepare(reopen(folder).study, folder, cache)
    pool, card = start_pool(prepared), prepared.opened.subject.card
    assert isinstance(pool, LocalPool)
    found = []
    for row in rows:
        spec = TrialSpec(
            model=row.model, task=row.task, shots=row.shots, demo_seed=row.demo_seed, split=row.split, clips=row.clips
        )
        trial = Trial(trial_id=row.trial_id, spec=spec, resolved=resolve(row.clips, card), rows=(0, row.n_examples))
        (result,) = pool._replica.evaluate(Batch(trials=(trial,), microbatch=row.microbatch))
        (whole,) = pool._replica.evaluate(Batch(trials=(replace(trial, rows=None),), microbatch=row.microbatch))
        assert whole.margins[: row.n_examples] == result.margins
        scores = {column: getattr(result.scores, column) for column in COLUMNS}
        packed = {"outcomes": pack_outcomes(result.outcomes), "margins": pack_margins(result.margins)}
        found.append({**scores, **packed, "microbatch": result.microbatch, "engine_path": result.engine_path})
    return found


def assert_same_again(folder: Path, cache: Path) -> None:
    rows = list(latest_rows(folder).values())[::-1]
    expected = again(folder, cache, rows)
    for row, record in zip(rows, expected, strict=True):
        assert {column: row.record()[column] for column in record} == record


@pytest.mark.slow
@pytest.mark.parametrize("race", RACES)
def test_rows_of_a_race_equal_their_re_evaluation(race: str, tiny_model: Path, tmp_path: Path, cache: Path) -> None:
    rows = run(raced(tiny_model, **RACES[race]), tmp_path / "s", cache)
    assert {row.state for row in rows} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert_same_again(tmp_path / "s", cache)


@pytest.mark.slow
@pytest.mark.parametrize("search", SEARCHES)
def test_rows_of_a_search_equal_their_re_evaluation(search: str, tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    rows = run(raced(tiny_gptj, **SEARCHES[search]), tmp_path / "s", cache)
    assert {row.state for row in rows} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert_same_again(tmp_path / "s", cache)


def cut_off(patch: pytest.MonkeyPatch, number: int) -> None:
    """End the process's run when a replica is called for the n-th time, as a kill would: nothing more is written."""
    evaluate, calls = Replica.evaluate, count()

    def end(self: Replica, batch: Batch) -> Any:
        if next(calls) == number:
            raise KeyboardInterrupt
        return evaluate(self, batch)

    patch.setattr(Replica, "evaluate", end)


def test_a_race_that_goes_on_at_another_microbatch_continues_its_trials_at_the_one_that_they_had(
    tiny_gptj: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = raced(tiny_gptj, race="halving")
    with monkeypatch.context() as patch:
        cut_off(patch, 10)
        run(content, tmp_path / "s", cache)
    run(content | {"cluster": {"replicas": 0, "microbatch": 16}}, tmp_path / "s", cache)
    rows = latest_rows(tmp_path / "s").values()
    assert {row.microbatch for row in rows} == {SIZE, 16}
    assert_same_again(tmp_path / "s", cache)


def test_a_trial_that_an_older_version_cut_elsewhere_is_evaluated_from_its_first_row(
    tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    content = raced(tiny_gptj, race="halving")
    rows = {row.trial_id: row for row in run(content, tmp_path / "s", cache)}
    stopped = next(row for row in rows.values() if row.state is TrialState.PRUNED)
    wrong = {"n_examples": 13, "outcomes": bytes(2), "margins": bytes(26), "accuracy": 0.0}
    elsewhere = {**wrong, "attempt": stopped.attempt + 1}
    ResultsTable(StudyFolder(tmp_path / "s").trials).append([stopped.record() | elsewhere])
    run(content | {"search": {}}, tmp_path / "s", cache)
    assert_same_again(tmp_path / "s", cache)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 5])
def test_a_grid_that_was_cut_off_has_the_rows_of_one_that_was_not(
    calls: int, make_study: Callable[..., dict[str, Any]], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = make_study(space=SPACE)
    run(content, tmp_path / "whole", cache)
    for number in (calls, 2):
        with monkeypatch.context() as patch:
            cut_off(patch, number)
            run(content, tmp_path / "cut", cache)
    run(content, tmp_path / "cut", cache)
    assert stable(latest_rows(tmp_path / "cut")) == stable(latest_rows(tmp_path / "whole"))
