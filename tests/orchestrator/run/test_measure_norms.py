"""A study that has been scored is measured for the theory afterwards, by its demonstrations alone."""

import json
import shutil
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

import clipsweep
from clipsweep.analysis.row.row import OF_BLOCKS, StoredRow
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.analysis.theory.norms_file import NormsFile
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import NormsRequest
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.plan.estimate import describe_plan
from clipsweep.orchestrator.run import keep_found, session
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.upkeep.verify import verify_study
from clipsweep.trials.base.errors import ClipsweepError, EvaluationError, PoolError, StoreError, TaskError
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.scores.tally import Tally
from clipsweep.trials.spec.implicit import ImplicitNorms, TrialNorms
from clipsweep.trials.spec.result import FULL_PROMPTS, TrialState
from tests.conftest import tiny_study
from tests.orchestrator.run.test_exact_rows import raced
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.run.test_several import several
from tests.orchestrator.stored import all_rows, latest_rows, take_snapshot

SPACE = {"layers": [0, 1], "modules": ["attn", "mlp"], "clip_rates": [0, 0.6, 0.9], "shots": [0, 2]}
NORMS = ImplicitNorms(delta_w=(1.0, 1.0), delta_w_softmax=(1.0, 1.0), implicit_gradient=(1.0, 1.0), seconds=1e6)
SEVERAL_CLIPS = {"driver": "bayes", "sampler": "random", "n_trials": 8}


def run(content: dict[str, Any], folder: Path, cache: Path, *, theory: bool) -> Mapping[str, StoredRow]:
    """Run a study; what is read of it afterwards."""
    run_study(check_study(content | {"theory": theory}), folder, cache, Console(quiet=True))
    return take_snapshot(folder).rows


def norms_of(rows: Mapping[str, StoredRow]) -> dict[str, Any]:
    """What rows hold of the theory, but for the seconds."""
    return {trial_id: [getattr(row, name) for name in OF_BLOCKS] for trial_id, row in rows.items()}


@pytest.fixture(autouse=True, scope="module")
def _without_reports() -> Iterator[None]:
    """A run takes most of its time for the report."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "_write_report", lambda *_: None)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("norms")


@pytest.fixture(scope="module")
def content(tiny_gptj: Path) -> dict[str, Any]:
    return tiny_study(tiny_gptj, space=SPACE)


@pytest.fixture(scope="module")
def _scored(content: dict[str, Any], place: Path) -> Path:
    run(content, place / "scored", place / "cache", theory=False)
    return place / "scored"


@pytest.fixture
def scored(_scored: Path, tmp_path: Path) -> Path:
    """The folder of a finished study that did not ask for the theory."""
    return shutil.copytree(_scored, tmp_path / "s")


@pytest.fixture(scope="module")
def measured(content: dict[str, Any], place: Path) -> Mapping[str, StoredRow]:
    """The rows of the same study, measured while they were scored."""
    return run(content, place / "measured", place / "cache", theory=True)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Identity of every trial that a replica measures from now on; none may be scored."""
    seen: list[str] = []
    measure = Replica.norms

    def watch(self: Replica, request: NormsRequest) -> list[TrialNorms]:
        seen.extend(trial.trial_id for trial in request.trials)
        return measure(self, request)

    monkeypatch.setattr(Replica, "norms", watch)
    monkeypatch.setattr(Replica, "evaluate", _refuse)
    return seen


def _refuse(_self: Replica, batch: Any) -> None:
    raise AssertionError(f"scored again: {batch}")


def interrupt_at(monkeypatch: pytest.MonkeyPatch, calls: int) -> None:
    """Let the user press Ctrl-C while the trial of that number is measured."""
    measure, made = Replica.norms, []

    def norms(self: Replica, request: NormsRequest) -> list[TrialNorms]:
        made.append(request)
        if len(made) == calls:
            signal.raise_signal(signal.SIGINT)
        return measure(self, request)

    monkeypatch.setattr(Replica, "norms", norms)


def test_norms_are_those_measured_while_scoring_to_the_bit(
    scored: Path, content: dict[str, Any], measured: Mapping[str, StoredRow], place: Path
) -> None:
    assert norms_of(run(content, scored, place / "cache", theory=True)) == norms_of(measured)


def test_so_are_those_of_several_clips_and_of_tasks_in_one_score(tiny_gptj: Path, place: Path) -> None:
    content = several(tiny_gptj, space={**SPACE, "shots": [2], "clips": {"max": 3}}, search=SEVERAL_CLIPS)
    whole = run(content, place / "several-measured", place / "cache", theory=True)
    run(content, place / "several", place / "cache", theory=False)
    assert max(len(row.clips) for row in whole.values()) > 1
    assert {row.task for row in whole.values()} == {"episodes", "topics"}
    assert norms_of(run(content, place / "several", place / "cache", theory=True)) == norms_of(whole)


def test_nothing_is_scored_again_and_no_row_changes(
    scored: Path, content: dict[str, Any], place: Path, asked: list[str]
) -> None:
    before = stable(latest_rows(scored))
    run(content, scored, place / "cache", theory=True)
    assert stable(latest_rows(scored)) == before
    assert {row.attempt for row in all_rows(scored)} == {1}
    with_shots = [trial_id for trial_id, row in latest_rows(scored).items() if row.shots]
    assert sorted(asked) == sorted(with_shots)
    assert NormsFile(scored / "theory.parquet").read().num_rows == len(with_shots)


def test_the_untouched_trial_of_each_prompt_set_is_first(
    scored: Path, content: dict[str, Any], place: Path, asked: list[str]
) -> None:
    rows = run(content, scored, place / "cache", theory=True)
    prompts = [(rows[each].split, rows[each].shots, rows[each].demo_seed) for each in asked]
    firsts = [trial for trial, before, own in zip(asked, [None, *prompts], prompts, strict=False) if own != before]
    assert len(firsts) == len(set(prompts))
    assert all(rows[trial].clips == () for trial in firsts)


def test_what_is_measured_is_not_measured_again(
    scored: Path, content: dict[str, Any], place: Path, asked: list[str]
) -> None:
    run(content, scored, place / "cache", theory=True)
    first = len(asked)
    run(content, scored, place / "cache", theory=True)
    assert len(asked) == first


def test_trials_that_were_measured_while_they_were_scored_are_in_no_file(
    measured: Mapping[str, StoredRow], place: Path
) -> None:
    assert any(row.implicit for row in measured.values())
    assert not StudyFolder(place / "measured").norms.exists()


def test_after_an_interrupt_the_missing_alone_are_measured(
    scored: Path,
    content: dict[str, Any],
    place: Path,
    measured: Mapping[str, StoredRow],
    asked: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    interrupt_at(monkeypatch, 4)
    run(content, scored, place / "cache", theory=True)
    assert len(asked) == NormsFile(scored / "theory.parquet").read().num_rows == 4
    assert norms_of(run(content, scored, place / "cache", theory=True)) == norms_of(measured)
    assert len(asked) == len(set(asked))


def test_a_run_that_is_killed_has_kept_what_it_measured(
    scored: Path, content: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        """As by SIGKILL: nothing hears of it."""

    measure, made = Replica.norms, []

    def norms(self: Replica, request: NormsRequest) -> list[TrialNorms]:
        made.append(request)
        if len(made) == 4:
            raise Killed
        return measure(self, request)

    monkeypatch.setattr(keep_found, "KEEP_SECONDS", 0.0)
    monkeypatch.setattr(keep_found, "SECONDS_PER_WRITING", 0.0)
    monkeypatch.setattr(Replica, "norms", norms)
    with pytest.raises(Killed):
        run(content, scored, place / "cache", theory=True)
    assert NormsFile(scored / "theory.parquet").read().num_rows == 3


def test_a_trial_that_cannot_be_measured_is_warned_of_and_tried_by_the_next_run(
    scored: Path, content: dict[str, Any], place: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Engine, "measure", lambda *_: [EvaluationError("it does not fit")])
        run(content, scored, place / "cache", theory=True)
    assert "stored trials could not be measured for the theory; the first" in (scored / "log.txt").read_text("utf-8")
    assert (scored / "end.json").is_file()
    first = len(asked)
    run(content, scored, place / "cache", theory=True)
    assert sorted(asked[first:]) == sorted(asked[:first])


@pytest.mark.parametrize("error", [PoolError, TaskError])
def test_a_study_ends_well_where_measuring_ends_early_and_keeps_what_was_measured(
    scored: Path, content: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch, error: type[ClipsweepError]
) -> None:
    (scored / "end.json").unlink()
    measure, made = Replica.norms, []

    def norms(self: Replica, request: NormsRequest) -> list[TrialNorms]:
        made.append(request)
        if len(made) % 4 == 0:
            raise error("no replica is left")
        return measure(self, request)

    monkeypatch.setattr(Replica, "norms", norms)
    for n_kept in (3, 6):
        run(content, scored, place / "cache", theory=True)
        assert NormsFile(scored / "theory.parquet").read().num_rows == n_kept
        assert (scored / "end.json").is_file()
    assert (scored / "spectrum.parquet").is_file()
    assert "norms of stored trials that the theory is about are missing, as no replica is left" in (
        scored / "log.txt"
    ).read_text("utf-8")


def test_prompts_with_nothing_to_measure_are_tried_once(
    scored: Path, content: dict[str, Any], place: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "measure", lambda *_: [None])
    rows = run(content, scored, place / "cache", theory=True)
    first = len(asked)
    assert first == NormsFile(scored / "theory.parquet").read().num_rows
    assert {row.implicit for row in rows.values()} == {None}
    run(content, scored, place / "cache", theory=True)
    assert len(asked) == first


def test_trials_whose_prompts_were_read_whole_are_not_tried(scored: Path, place: Path) -> None:
    opened = replace(take_snapshot(scored).opened, study=check_study(yaml_of(scored) | {"theory": True}))
    rows = dict(latest_rows(scored))
    missing = opened.missing_norms(rows)
    whole = StoredRow.of(rows[missing[0]].record() | {"engine_path": FULL_PROMPTS})
    assert opened.missing_norms(rows | {missing[0]: whole}) == missing[1:]


def yaml_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((folder / "study.yaml").read_text(encoding="utf-8"))
    return content


def test_of_a_race_that_has_ended_every_trial_is_measured(
    tiny_gptj: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = raced(tiny_gptj, race="halving", driver="grid")
    before = stable(run(content, tmp_path / "r", cache, theory=False))
    monkeypatch.setattr(Replica, "evaluate", _refuse)
    rows = run(content, tmp_path / "r", cache, theory=True)
    assert stable(latest_rows(tmp_path / "r")) == before
    assert None not in {row.implicit for row in rows.values()}


@pytest.mark.parametrize("theory", [False, True])
def test_a_pruned_trial_that_goes_on_takes_nothing_from_the_file_into_its_rows(
    theory: bool, tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    content = raced(tiny_gptj, race="halving", driver="grid")
    run(content, tmp_path / "r", cache, theory=False)
    run(content, tmp_path / "r", cache, theory=True)
    file = NormsFile(tmp_path / "r" / "theory.parquet")
    file.add([TrialNorms(trial_id=str(each), norms=NORMS) for each in file.read()["trial_id"].to_pylist()])
    driver = {name: value for name, value in content["search"].items() if name != "race"}
    rows = run({**content, "search": driver}, tmp_path / "r", cache, theory=theory)
    continued = [row for row in latest_rows(tmp_path / "r").values() if row.theory_seconds is not None]
    assert bool(continued) is theory
    assert max((row.theory_seconds or 0.0 for row in continued), default=0.0) < NORMS.seconds
    assert None not in {row.implicit for row in rows.values()}


def test_the_end_of_a_race_takes_nothing_from_the_file_into_its_rows(
    scored: Path, content: dict[str, Any], place: Path
) -> None:
    rows = run(content, scored, place / "cache", theory=True)
    trial_id = next(trial_id for trial_id, row in rows.items() if row.implicit)
    tally = json.dumps(Tally(examples=1).to_json())
    waiting = latest_rows(scored)[trial_id].record() | {"state": "partial", "attempt": 2, "tally": tally}
    shutil.rmtree(scored / "trials")
    ResultsTable(scored / "trials").append([waiting])
    Ledger(reopen(scored)).end_race()
    (own,) = latest_rows(scored).values()
    assert (own.state, own.attempt, own.implicit, own.theory_seconds) == (TrialState.PRUNED, 3, None, None)
    assert take_snapshot(scored).rows[trial_id].implicit == rows[trial_id].implicit


def test_readers_take_the_row_s_own_or_those_of_the_file(
    scored: Path, content: dict[str, Any], place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(content, scored, place / "cache", theory=True)
    monkeypatch.setenv("CLIPSWEEP_CACHE", str(place / "cache"))
    study = clipsweep.open_study(scored)
    assert {row.implicit is not None for row in study.stored_rows() if row.shots} == {True}
    frame = study.rows()
    assert frame.log_delta_w.notna().tolist() == (frame.shots > 0).tolist()
    assert len(study.theory().changes.trials) == 8
    assert study.theory().changes.unmeasured == 0
    assert clipsweep.figure("theory-table", scored).rows


def test_the_plan_says_how_many_and_that_nothing_is_scored_again(
    scored: Path, content: dict[str, Any], place: Path
) -> None:
    plan = clipsweep.plan(content | {"theory": True}, dir=scored)
    n_missing = sum(row.shots > 0 for row in latest_rows(scored).values())
    assert (plan["trials_to_run"], plan["stored_trials_to_measure"]) == (0, n_missing)
    assert f"theory      {n_missing} stored trials measured at the end by the demonst" in describe_plan(plan)
    assert f"{n_missing} stored trials ran before 'theory: true' was set" in " ".join(plan["notes"])


def test_a_damaged_file_is_refused_before_anything_runs_and_verify_names_it(
    scored: Path, content: dict[str, Any], place: Path, asked: list[str]
) -> None:
    (scored / "theory.parquet").write_bytes(b"damaged")
    faults = [fault.file for fault in verify_study(take_snapshot(scored).opened).faults]
    assert faults == ["theory.parquet"]
    with pytest.raises(StoreError, match=r"theory.parquet is not a whole Parquet file.*run the study again"):
        run(content, scored, place / "cache", theory=True)
    assert asked == []
    assert len(take_snapshot(scored).standings.points) > 0  # what asks for no norms goes on


def test_the_user_is_told_what_is_waited_for(scored: Path, content: dict[str, Any], place: Path) -> None:
    shown = StringIO()
    run_study(check_study(content | {"theory": True}), scored, place / "cache", Console(file=shown, width=200))
    assert "by the demonstrations alone; nothing is scored again …" in shown.getvalue()


@pytest.mark.ray
def test_replicas_on_ray_measure_the_same(
    ray_cluster: None, scored: Path, content: dict[str, Any], place: Path, measured: Mapping[str, StoredRow]
) -> None:
    on_ray = content | {"cluster": {"replicas": 2}}
    assert norms_of(run(on_ray, scored, place / "cache", theory=True)) == norms_of(measured)
