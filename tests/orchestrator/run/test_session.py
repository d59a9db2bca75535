import io
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.plan.prepare import AUTO_MICROBATCH, prepare
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.status.answer import describe_winner
from clipsweep.orchestrator.status.status import read_status
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import ClipsweepError, SpecError, StudyBusyError, StudyError
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.result import TrialState
from tests.analysis.watch import watch_bootstraps, watch_files
from tests.orchestrator.stored import latest_rows, status_of, take_snapshot

MakeStudy = Callable[..., dict[str, Any]]
VOLATILE = {"seconds", "started_at", "finished_at", "replica", "node", "versions"}


@pytest.fixture
def run(make_study: MakeStudy, tmp_path: Path, cache: Path) -> Callable[..., Mapping[str, StoredRow]]:
    """Run the tiny study, with changes, in one folder; gives its latest rows."""

    def run_it(folder: str = "s", **changes: dict[str, Any]) -> Mapping[str, StoredRow]:
        study = check_study(make_study(**changes))
        run_study(study, tmp_path / folder, cache, Console(quiet=True))
        return latest_rows(tmp_path / folder)

    return run_it


@pytest.fixture
def evaluated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Identity of every trial that a replica evaluates from now on."""
    seen: list[str] = []
    evaluate = Replica.evaluate

    def watch(self: Replica, batch: Any) -> Any:
        seen.extend(trial.trial_id for trial in batch.trials)
        return evaluate(self, batch)

    monkeypatch.setattr(Replica, "evaluate", watch)
    return seen


def test_a_run_says_what_it_waits_for_before_each_step(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    shown = io.StringIO()
    run_study(check_study(make_study()), tmp_path / "s", cache, Console(file=shown))
    assert shown.getvalue().splitlines()[:4] == [
        "tiny: looking at the model and reading the rows …",
        "checking the prompts …",
        "loading the model …",
        "1 replica: in-process on cpu",
    ]


def test_the_first_row_is_stored_before_the_second_trial_runs(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[int] = []
    evaluate = Replica.evaluate

    def look(self: Replica, batch: Any) -> Any:
        stored.append(len(latest_rows(tmp_path / "s")))
        return evaluate(self, batch)

    monkeypatch.setattr(Replica, "evaluate", look)
    run()
    assert stored[:2] == [0, 1]


@pytest.mark.parametrize("search", [{}, {"driver": "bayes", "n_trials": 6, "sampler": "random"}])
def test_a_study_that_has_ended_lies_in_one_file(
    search: dict[str, Any], run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    rows = run(search=search)
    assert len(list((tmp_path / "s" / "trials").iterdir())) == 1
    run(search=search)
    assert latest_rows(tmp_path / "s") == rows


def fail_on(patch: pytest.MonkeyPatch, doomed: Callable[[Sequence[Clip]], bool]) -> None:
    """Let every trial raise whose clips are ``doomed``."""
    score_all = Engine.score_all

    def fail(self: Engine, prompts: Any, trials: Sequence[ResolvedClips], microbatch: int) -> Any:
        if any(doomed([edit.clip for edit in clips.edits]) for clips in trials):
            raise ArithmeticError("went wrong")
        return score_all(self, prompts, trials, microbatch)

    patch.setattr(Engine, "score_all", fail)


def stable(rows: Mapping[str, StoredRow]) -> dict[str, Record]:
    """What must be the same in every run of a study."""
    records = {key: row.record() for key, row in rows.items()}
    return {key: {name: record[name] for name in record.keys() - VOLATILE} for key, record in records.items()}


def test_every_point_runs_once_and_rate_zero_is_the_baseline(
    run: Callable[..., Mapping[str, StoredRow]], evaluated: list[str]
) -> None:
    rows = run()
    validation = [row for row in rows.values() if row.split == "validation"]
    assert len(validation) == 1 + 2 * 2  # the baseline, and two layers at two rates
    assert sorted(evaluated) == sorted(rows)
    assert [row.clips for row in validation].count(()) == 1


def test_a_second_run_evaluates_nothing(run: Callable[..., Mapping[str, StoredRow]], evaluated: list[str]) -> None:
    first = run()
    count = len(evaluated)
    assert run() == first
    assert len(evaluated) == count


def test_a_study_that_grows_runs_only_what_is_new(
    run: Callable[..., Mapping[str, StoredRow]], evaluated: list[str]
) -> None:
    before = run()
    evaluated.clear()
    after = run(space={"clip_rates": [0, 0.5, 0.75, 0.9]})
    new = {key for key, row in after.items() if key not in before}
    assert set(evaluated) == new
    assert {row.clip_rate for key, row in after.items() if key in new and row.split == "validation"} == {0.75}


def test_rates_that_leave_the_same_ranks_run_once(
    run: Callable[..., Mapping[str, StoredRow]], evaluated: list[str]
) -> None:
    run(space={"clip_rates": [0.5, 0.501, 0.499], "layers": [0]}, task={"test_size": 0})
    assert len(evaluated) == 2  # the baseline, and rank 16 of 32 once


def test_winners_are_measured_on_test_rows_and_nothing_else_is(run: Callable[..., Mapping[str, StoredRow]]) -> None:
    rows = run()
    test = [row for row in rows.values() if row.split == "test"]
    assert 1 <= len(test) <= 2
    assert all(row.n_examples == 20 for row in test)


def test_a_task_without_test_rows_has_none_stored(run: Callable[..., Mapping[str, StoredRow]]) -> None:
    assert {row.split for row in run(task={"test_size": 0}).values()} == {"validation"}


def test_a_run_reads_no_rows_back(
    make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = watch_files(monkeypatch)
    run_study(check_study(make_study()), tmp_path / "s", cache, Console(quiet=True))
    assert read == []


def test_a_second_run_reads_each_file_once(
    run: Callable[..., Mapping[str, StoredRow]],
    make_study: MakeStudy,
    tmp_path: Path,
    cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run()
    read = watch_files(monkeypatch)
    run_study(check_study(make_study()), tmp_path / "s", cache, Console(quiet=True))
    assert sorted(read) == sorted(path.name for path in (tmp_path / "s" / "trials").iterdir())


def test_a_run_with_its_report_and_its_answer_measures_the_gain_of_a_winner_once(
    make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bootstraps = watch_bootstraps(monkeypatch)
    outcome = run_study(check_study(make_study()), tmp_path / "s", cache, Console(quiet=True))
    describe_winner(outcome.snapshot.standings)
    read_status(outcome.snapshot)
    assert bootstraps == [20]


def test_another_folder_gives_the_same_rows(run: Callable[..., Mapping[str, StoredRow]]) -> None:
    assert stable(run("a")) == stable(run("b"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"task": {"seed": 9}}, "task.seed: stored 0, asked for 9"),
        ({"model": {"dtype": "bfloat16"}}, "model.dtype: stored 'float32', asked for 'bfloat16'"),
        ({"task": {"name": "topics"}}, "task: stored 'episodes', asked for 'topics'"),
    ],
)
def test_a_study_that_contradicts_its_rows_is_refused_with_the_difference(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    rows = run()
    files = {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()}
    with pytest.raises(StudyError, match=rf"holds {len(rows)} rows of another study:(?s:.*){words}"):
        run(**changes)
    assert {path: path.read_bytes() for path in (tmp_path / "s").rglob("*") if path.is_file()} == files


def test_a_second_process_on_a_study_is_refused(run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path) -> None:
    with (
        study_lock(StudyFolder(tmp_path / "s")),
        pytest.raises(StudyBusyError, match=r"is being run by process \d+ on"),
    ):
        run()


def test_a_failed_trial_is_a_row_with_its_log_and_runs_again_next_time(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        fail_on(patch, lambda clips: any(clip.layer == 1 for clip in clips))
        failed = [row for row in run().values() if row.state is TrialState.FAILED]
    assert len(failed) == 2
    assert failed[0].error == "ArithmeticError: went wrong"
    assert "Traceback" in (tmp_path / "s" / str(failed[0].log_path)).read_text()
    again = run()
    assert {again[row.trial_id].state for row in failed} == {TrialState.COMPLETE}
    assert {again[row.trial_id].attempt for row in failed} == {2}


def test_a_failed_baseline_leaves_a_study_without_a_winner_and_without_a_crash(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, lambda clips: not clips)
    run()
    assert describe_winner(take_snapshot(tmp_path / "s").standings).startswith("no winner yet")
    assert status_of(tmp_path / "s")["state"] == "failed"


def test_a_failure_outside_the_space_does_not_count(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_on(monkeypatch, lambda clips: any(clip.layer == 1 for clip in clips))
    run()
    run(space={"layers": [0]})
    assert status_of(tmp_path / "s")["state"] == "done"


def test_auto_microbatch_is_resolved_once_and_written(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path
) -> None:
    assert {row.microbatch for row in run("auto").values()} == {AUTO_MICROBATCH}
    assert f"microbatch: {AUTO_MICROBATCH}" in (tmp_path / "auto" / "study.yaml").read_text()
    run(cluster={"replicas": 0, "microbatch": 5})
    grown = run(space={"clip_rates": [0, 0.5, 0.9, 0.75]})
    assert {row.microbatch for row in grown.values()} == {5}


def test_rows_do_not_depend_on_the_activation_budget(run: Callable[..., Mapping[str, StoredRow]]) -> None:
    nothing = run("nothing", cluster={"replicas": 0, "activation_budget": "0MB"})
    assert stable(nothing) == stable(run("plenty", cluster={"replicas": 0, "activation_budget": "1GB"}))


def test_rows_say_what_ran_and_what_it_cost(run: Callable[..., Mapping[str, StoredRow]]) -> None:
    rows = [row for row in run().values() if row.split == "validation"]
    paths = {row.layer: row.engine_path for row in rows}
    assert paths == {None: "blocks", 0: "sub-layer", 1: "sub-layer"}
    operations = {row.layer: row.operations for row in rows}
    assert operations[None] < operations[1] < operations[0]  # the untouched model's pass is what all share


def test_a_bad_limit_of_the_factor_cache_is_refused_at_the_start(
    run: Callable[..., Mapping[str, StoredRow]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLIPSWEEP_FACTORS_GIB", "lots")
    with pytest.raises(SpecError, match="CLIPSWEEP_FACTORS_GIB is 'lots'; expected a positive number"):
        run()


def test_status_of_a_finished_study(run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path) -> None:
    rows = run()
    status = status_of(tmp_path / "s")
    assert (status["state"], status["done"], status["failed"]) == ("done", len(rows), 0)
    assert json.loads((tmp_path / "s" / "status.json").read_text())["done"] == len(rows)


def test_a_study_can_be_read_where_model_and_data_are_not(
    run: Callable[..., Mapping[str, StoredRow]], tmp_path: Path, cache: Path, sst2_folder: Path
) -> None:
    task = {"name": "sst2", "path": str(sst2_folder), "validation_size": 20, "test_size": 10, "seed": 0}
    run(task=task)
    (sst2_folder / "train.jsonl").unlink()
    snapshot = take_snapshot(tmp_path / "s")
    with pytest.raises(ClipsweepError):
        prepare(snapshot.opened.study, tmp_path / "s", cache)
    assert describe_winner(snapshot.standings).startswith("winner")
