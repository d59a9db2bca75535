from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.plan import speed
from clipsweep.orchestrator.plan.estimate import describe_plan, plan_study
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.plan.work import RelativeWork
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TrialSpec
from tests.orchestrator.stored import latest_rows

MakeStudy = Callable[..., dict[str, Any]]


def spec(*clips: Clip, split: str = "validation") -> TrialSpec:
    return TrialSpec(model="m", task="episodes", shots=2, demo_seed=0, split=split, clips=clips)


def test_a_dry_run_says_what_would_run_and_writes_nothing(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    plan = plan_study(check_study(make_study()), tmp_path / "s", cache)
    assert (plan["points"], plan["trials"], plan["trials_to_run"]) == (7, 5, 5)
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


def test_the_plan_in_words_has_time_memory_and_disk(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    words = describe_plan(plan_study(check_study(make_study()), tmp_path / "s", cache))
    assert [line.split()[0] for line in words.splitlines()] == [
        "points",
        "operations",
        "time",
        "memory",
        "besides",
        "folder",
    ]


def test_deeper_clips_are_less_work_and_the_untouched_model_is_a_whole_pass(
    make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    opened = prepare(check_study(make_study()), tmp_path / "s", cache).opened
    work = RelativeWork(opened)
    first, second = (spec(Clip(layer=layer, module="mlp", clip_rate=0.5)) for layer in (0, 1))
    specs = (spec(), first, second, spec(split="test"))
    whole, at_first, at_second, on_test = (work(each, resolve(each.clips, opened.subject.card)) for each in specs)
    assert whole == on_test == 20  # examples
    assert 20 > at_first > 10 * at_second
