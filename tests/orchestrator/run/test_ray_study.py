"""Whole studies on a real Ray."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.schema import check_study
from clipsweep.trials.spec.trial import TrialState
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
    ray_cluster: None, make_study: MakeStudy, tmp_path: Path, cache: Path
) -> None:
    content = make_study(
        space={"clip_rates": [round(0.03 * step, 2) for step in range(30)]},
        task={"validation_size": 1000, "test_size": 20},
        cluster={"replicas": 2},
    )
    thread = threading.Thread(target=kill_first_replica, args=(tmp_path / "s",))
    thread.start()
    run(content, tmp_path / "s", cache)
    thread.join()
    rows = all_rows(tmp_path / "s")
    assert {row.state for row in rows} == {TrialState.COMPLETE}
    assert len({row.trial_id for row in rows}) == len(rows)


def kill_first_replica(folder: Path) -> None:
    """Wait until rows are stored, then kill a replica as the status names it."""
    for _ in range(1200):
        time.sleep(0.05)
        if (folder / "identity.json").exists() and all_rows(folder):
            status = status_of(folder)
            os.kill(int(status["replicas"][0]["pid"]), signal.SIGKILL)
            return
