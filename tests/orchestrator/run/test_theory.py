"""Studies that ask for the theory: their rows hold what was measured, however their trials ran."""

from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.engine import engine
from clipsweep.trials.engine.kept_passes import KeptTrials
from clipsweep.trials.spec.result import TrialState
from tests.conftest import tiny_study
from tests.orchestrator.run.test_exact_rows import raced
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.stored import all_rows, latest_rows

THEORY = ("log_delta_w", "log_delta_w_softmax", "log_implicit_gradient")
SPACE = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": [0.6, 0.9], "shots": [0, 2]}
VALIDATED = {"test_size": 0}


def run(content: dict[str, Any], folder: Path, cache: Path, *, theory: bool = True) -> Mapping[str, StoredRow]:
    run_study(check_study(content | {"theory": theory}), folder, cache, Console(quiet=True))
    return latest_rows(folder)


def measured(rows: Mapping[str, StoredRow]) -> dict[str, tuple[Any, ...]]:
    """What the rows hold of the theory, but for the seconds."""
    return {identity: tuple(getattr(row, name) for name in THEORY) for identity, row in rows.items()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("theory")


@pytest.fixture(scope="module")
def rows(place: Path, tiny_gptj: Path) -> Mapping[str, StoredRow]:
    """Of one study, with 0 and 2 shots."""
    return run(tiny_study(tiny_gptj, space=SPACE, task=VALIDATED), place / "s", place / "cache")


def test_rows_with_demonstrations_hold_a_number_for_each_block(rows: Mapping[str, StoredRow]) -> None:
    for identity, row in rows.items():
        has = row.shots > 0
        assert [values is not None for values in measured(rows)[identity]] == [has] * 3
        assert all(len(values) == 2 and None not in values for values in measured(rows)[identity] if has)
        assert (row.theory_seconds is not None) is has
    assert {row.shots for row in rows.values()} == {0, 2}


def test_scores_are_those_of_a_study_without(rows: Mapping[str, StoredRow], place: Path, tiny_gptj: Path) -> None:
    content = tiny_study(tiny_gptj, space=SPACE, task=VALIDATED)
    without = run(content, place / "without", place / "cache", theory=False)
    assert [set(each) for each in measured(without).values()] == [{None}] * len(rows)
    names = stable(rows)[next(iter(rows))].keys() - {*THEORY, "theory_seconds"}
    for identity, record in stable(without).items():
        assert all(record[name] == stable(rows)[identity][name] for name in names)


def test_a_clip_changes_what_lies_behind_it(rows: Mapping[str, StoredRow]) -> None:
    with_shots = [row for row in rows.values() if row.shots]
    (untouched,) = (row.log_delta_w for row in with_shots if not row.clips)
    assert untouched is not None
    for row in with_shots:
        for clip in row.clips:
            assert row.log_delta_w is not None
            first = clip.layer + (clip.module == "mlp")
            changed = [one != other for one, other in zip(row.log_delta_w, untouched, strict=True)]
            assert changed == [layer >= first for layer in range(2)]


def test_rows_of_a_race_hold_them_too(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    content = raced(tiny_gptj, race="halving", driver="grid")
    rows = run(content, tmp_path / "raced", cache)
    whole = run(content | {"search": {"driver": "grid"}}, tmp_path / "whole", cache)
    assert TrialState.PARTIAL in {row.state for row in all_rows(tmp_path / "raced")}
    assert measured(rows) == measured(whole)
    assert all(values is not None for found in measured(rows).values() for values in found)


@pytest.mark.parametrize("evicted", [False, True])
def test_a_part_of_a_race_adds_what_measuring_took_where_it_measured_again(
    evicted: bool, tiny_gptj: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if evicted:  # nothing is kept of a trial for its next part
        monkeypatch.setattr(KeptTrials, "put", lambda _self, _key, _trial: None)
    run(raced(tiny_gptj, race="halving", driver="grid"), tmp_path / "raced", cache)
    attempts: dict[str, list[StoredRow]] = {}
    for row in sorted(all_rows(tmp_path / "raced"), key=lambda row: row.attempt):
        if row.split == "validation" and any(clip.layer == 0 for clip in row.clips):
            attempts.setdefault(row.trial_id, []).append(row)
    went_on = [rows for rows in attempts.values() if rows[-1].n_examples > rows[0].n_examples]
    assert went_on
    for first, *_, last in went_on:
        assert first.theory_seconds is not None
        assert last.theory_seconds is not None
        assert (last.theory_seconds > first.theory_seconds) is evicted
        assert last.theory_seconds <= last.seconds


def test_a_study_that_goes_on_gives_what_one_run_gives(
    rows: Mapping[str, StoredRow], place: Path, tiny_gptj: Path
) -> None:
    run(tiny_study(tiny_gptj, space=SPACE | {"clip_rates": [0.9]}, task=VALIDATED), place / "twice", place / "cache")
    twice = run(tiny_study(tiny_gptj, space=SPACE, task=VALIDATED), place / "twice", place / "cache")
    assert measured(twice) == measured(rows)


def test_a_study_of_which_nothing_can_be_measured_says_so_during_the_run(
    tiny_gptj: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "try_decoder", lambda *_: None)  # as of a model that keeps no keys
    shown = StringIO()
    study = check_study(tiny_study(tiny_gptj, task=VALIDATED) | {"theory": True})
    run_study(study, tmp_path / "s", cache, Console(file=shown, width=200))
    assert "warning: gptj is run on full prompts, so that theory measures nothing" in shown.getvalue()
    assert "theory measures nothing" in StudyFolder(tmp_path / "s").log.read_text(encoding="utf-8")
    assert {row.implicit for row in latest_rows(tmp_path / "s").values()} == {None}


@pytest.mark.ray
def test_replicas_on_ray_measure_the_same(
    ray_cluster: None, rows: Mapping[str, StoredRow], place: Path, tiny_gptj: Path
) -> None:
    content = tiny_study(tiny_gptj, space=SPACE, task=VALIDATED, cluster={"replicas": 2})
    assert measured(run(content, place / "ray", place / "cache")) == measured(rows)
