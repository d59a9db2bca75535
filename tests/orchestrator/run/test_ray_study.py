"""Whole studies on a real Ray."""

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.cluster.on_ray import fleet
from clipsweep.cluster.on_ray.actor import ReplicaActor
from clipsweep.cluster.on_ray.ray_pool import RayPool
from clipsweep.cluster.work import Answer, Batch
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.files import write_text
from clipsweep.trials.spec.result import TrialResult
from tests.cluster.pool_contract import damage_factors
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.stored import all_rows, latest_rows, status_of

pytestmark = pytest.mark.ray
MakeStudy = Callable[..., dict[str, Any]]


def run(content: dict[str, Any], folder: Path, cache: Path) -> None:
    run_study(check_study(content), folder, cache, Console(quiet=True))


def test_the_rows_do_not_depend_on_the_number_of_replicas(
    ray_cluster: None, make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    for replicas in (0, 1, 4):
        run(make_study(cluster={"replicas": replicas}), tmp_path / str(replicas), cache)
    alone, one, four = (stable(latest_rows(tmp_path / name)) for name in ("0", "1", "4"))
    assert alone == one == four


def test_a_replica_killed_in_mid_study_costs_no_trial(
    ray_cluster: None, make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[dict[str, str]] = []
    collect = RayPool.collect

    def collect_and_kill(self: RayPool, timeout_s: float) -> list[TrialResult]:
        """Kill a replica when the first results are in."""
        results = collect(self, timeout_s)
        if results and not killed:
            killed.append(self.replicas()[0])
            os.kill(int(killed[0]["pid"]), signal.SIGKILL)
        return results

    monkeypatch.setattr(RayPool, "collect", collect_and_kill)
    rates = [round(0.03 * step, 2) for step in range(30)]
    run(make_study(space={"clip_rates": rates}, cluster={"replicas": 2}), tmp_path / "s", cache)
    rows = all_rows(tmp_path / "s")
    assert {row.state.value for row in rows} == {"complete"}
    assert len({row.trial_id for row in rows}) == len(rows)
    (death,) = status_of(tmp_path / "s")["warnings"]
    assert f"{killed[0]['name']} died (" in death


def test_a_warning_of_a_replica_in_another_process_is_shown_logged_and_in_the_status(
    ray_cluster: None, make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    content, console = make_study(cluster={"replicas": 2}), Console(record=True)
    damage_factors(Path(content["model"]["path"]), cache, "transformer.h.0.mlp.fc_in.weight")
    run_study(check_study(content), tmp_path / "s", cache, console)
    found = r"replica-[01]: the factors of layer 0 fc_in \(transformer.h.0.mlp.fc_in.weight\) in .* computed again"
    assert len(re.findall(f"warning: {found}", console.export_text())) == 1
    warnings = status_of(tmp_path / "s")["warnings"]
    assert warnings == (tmp_path / "s" / "log.txt").read_text().splitlines()
    assert re.search(found, warnings[0])


class KilledByHalf(ReplicaActor):
    """Dies, as by the kernel's hand, over each trial that drops half of layer 1."""

    def evaluate(self, batch: Batch) -> Answer[list[TrialResult]]:
        clips = [clip for trial in batch.trials for clip in trial.spec.clips]
        if any((clip.layer, clip.clip_rate) == (1, 0.5) for clip in clips):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().evaluate(batch)


def test_deaths_are_counted_over_runs_and_a_trial_given_up_runs_again_only_when_that_is_asked_for(
    ray_cluster: None, make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, folder = make_study(cluster={"replicas": 1}), StudyFolder(tmp_path / "s")
    run(make_study(), tmp_path / "clean", cache)
    rows = latest_rows(tmp_path / "clean")
    (killer,) = [name for name, row in rows.items() if (row.layer, row.clip_rate, row.split) == (1, 0.5, "validation")]
    write_text(folder.deaths, json.dumps({killer: 2}))
    with monkeypatch.context() as patch:
        patch.setattr(fleet, "ReplicaActor", KilledByHalf)
        run(content, folder.path, cache)
    failed, status = latest_rows(folder.path)[killer], status_of(folder.path)
    assert json.loads(folder.deaths.read_text()) == {killer: 3}
    assert (failed.error or "").startswith("3 replicas died while running this trial; the last: ")
    assert [status[key] for key in ("state", "failed", "given_up")] == ["failed", 1, 1]
    run(content, folder.path, cache)
    assert latest_rows(folder.path)[killer].attempt == 1
    run_study(check_study(content), folder.path, cache, Console(quiet=True), retry_failed=True)
    assert latest_rows(folder.path)[killer].is_complete
    assert status_of(folder.path)["state"] == "done"
