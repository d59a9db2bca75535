"""A study that asks for the theory also measures the singular values of what it clips, once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import clipsweep
from clipsweep.cluster.local_pool import LocalPool
from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.plan.estimate import describe_plan
from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place

MLP = [(layer, role) for layer in (0, 1) for role in ("fc_in", "fc_out")]


@pytest.fixture
def study(make_study: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return make_study() | {"theory": True}


def test_the_clipped_matrices_are_measured_and_no_others(study: dict[str, Any], tmp_path: Path) -> None:
    clipsweep.run(study, dir=tmp_path / "s", quiet=True)
    opened = reopen(tmp_path / "s")
    assert sorted(opened.spectrum.conditions()) == MLP
    assert opened.spectrum.read()["entry_snr"].null_count == 0


def test_nothing_is_measured_twice(study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clipsweep.run(study, dir=tmp_path / "s", quiet=True)
    monkeypatch.setattr(LocalPool, "spectrum", _refuse)
    assert clipsweep.run(study, dir=tmp_path / "s", quiet=True).status()["state"] == "done"


def test_what_a_killed_run_did_not_measure_is_measured_by_the_next(study: dict[str, Any], tmp_path: Path) -> None:
    clipsweep.run(study, dir=tmp_path / "s", quiet=True)
    (tmp_path / "s" / "spectrum.parquet").unlink()
    clipsweep.run(study, dir=tmp_path / "s", quiet=True)
    assert sorted(reopen(tmp_path / "s").spectrum.conditions()) == MLP


def test_a_study_that_does_not_ask_measures_none(make_study: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    clipsweep.run(make_study(), dir=tmp_path / "s", quiet=True)
    assert not (tmp_path / "s" / "spectrum.parquet").exists()


def test_the_plan_tells_how_many_matrices_will_be_measured(study: dict[str, Any], tmp_path: Path) -> None:
    plan = clipsweep.plan(study, dir=tmp_path / "s")
    assert plan["matrices_for_theory"] == 4
    assert "measured in each trial; the singular values of 4 matrices measured at the end" in describe_plan(plan)


def test_a_matrix_that_cannot_be_measured_is_warned_of_and_the_study_ends_well(
    study: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = Replica.spectrum

    def spectrum(self: Replica, places: Sequence[Place]) -> list[MatrixSpectrum]:
        if places == [MLP[2]]:
            raise EvaluationError("1.mlp.fc_in has 1 weights of 4 that are not finite")
        return measure(self, places)

    monkeypatch.setattr(Replica, "spectrum", spectrum)
    for _ in range(2):  # also when it goes on
        assert clipsweep.run(study, dir=tmp_path / "s", quiet=True).status()["state"] == "done"
    assert sorted(reopen(tmp_path / "s").spectrum.conditions()) == MLP[:2]
    log = (tmp_path / "s" / "log.txt").read_text(encoding="utf-8")
    assert "singular values that the theory is compared with are missing, as 1.mlp.fc_in has" in log


def _refuse(self: LocalPool, places: Sequence[Place]) -> None:
    raise AssertionError(f"measured again: {places}")
