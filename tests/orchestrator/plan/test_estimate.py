from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.plan.estimate import describe_plan, plan_study
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.orchestrator.stored import latest_rows

MakeStudy = Callable[..., dict[str, Any]]


def test_a_dry_run_says_what_would_run_and_writes_nothing(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    plan = plan_study(check_study(make_study()), tmp_path / "s", cache)
    assert (plan["points"], plan["trials"], plan["trials_to_run"]) == (5, 5, 5)  # a rate of 0 clips nothing
    assert plan["test_trials_at_most"] == 2  # the baseline and a winner of the only module
    assert plan["hours"] > 0
    assert not (tmp_path / "s").exists()


def test_the_plan_counts_the_operations_that_rows_then_hold(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    study = check_study(make_study(task={"test_size": 0}))
    plan = plan_study(study, tmp_path / "s", cache)
    run_study(study, tmp_path / "s", cache, Console(quiet=True))
    stored = sum(row.operations for row in latest_rows(tmp_path / "s").values())
    again = plan_study(study, tmp_path / "s", cache)
    assert stored < plan["operations"] < 2.5 * stored  # besides, the pass that all trials share
    assert (again["trials_to_run"], again["operations"]) == (0, 0)


@pytest.mark.parametrize(("budget", "shown"), [("auto", "auto"), ("1.5GiB", "1.6 GB"), ("0MB", "0 bytes")])
def test_sizes_are_shown_with_their_units(
    make_study: MakeStudy, tmp_path: Path, cache: Path, budget: str, shown: str
) -> None:
    study = check_study(make_study(cluster={"activation_budget": budget}))
    plan = plan_study(study, tmp_path / "s", cache) | {"weight_bytes_per_replica": 12_345_678_901}
    memory = next(line for line in describe_plan(plan).splitlines() if line.startswith("memory "))
    assert "on each replica 12.3 GB of weights" in memory
    assert memory.endswith(f"(activation_budget: {shown})")


def test_factors_on_disk_are_counted(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    study = check_study(make_study(space={"layers": [0]}))
    plan = plan_study(study, tmp_path / "s", cache)
    run_study(study, tmp_path / "s", cache, Console(quiet=True))
    tensors = sum(path.stat().st_size for path in (cache / "factors").rglob("*.safetensors"))
    assert plan["factor_bytes_on_disk"] == pytest.approx(tensors, abs=2 * 1000)  # two files with their headers


def test_the_plan_in_words_has_time_memory_and_disk(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    words = describe_plan(plan_study(check_study(make_study()), tmp_path / "s", cache))
    assert [line.split()[0] for line in words.splitlines()] == [
        "points",
        "trials",
        "operations",
        "time",
        "memory",
        "besides",
        "folder",
    ]
