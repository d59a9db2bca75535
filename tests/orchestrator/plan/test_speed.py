from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.plan import speed
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study

MakeStudy = Callable[..., dict[str, Any]]


def test_the_rate_is_that_of_stored_trials_once_there_are_some(
    make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "ROWS_TO_TRUST", 2)
    study = check_study(make_study())
    assert "matrix products" in plan_study(study, tmp_path / "s", cache)["speed"]
    run_study(study, tmp_path / "s", cache, Console(quiet=True))
    assert plan_study(study, tmp_path / "s", cache)["speed"].endswith(" stored trials")


@pytest.mark.parametrize(("dtype", "teraflops"), [("float16", 989), ("float32", 67)])
def test_a_known_gpu_gives_its_speed(
    make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, dtype: str, teraflops: float
) -> None:
    monkeypatch.setattr(speed, "_gpu_names", lambda: ["NVIDIA H100 80GB HBM3"] * 8)
    study = check_study(make_study(cluster={"replicas": "auto"}, model={"dtype": dtype}))
    plan = plan_study(study, tmp_path / "s", cache)
    assert (plan["replicas"], plan["operations_per_second_of_each"]) == (8, pytest.approx(0.4 * teraflops * 1e12))
