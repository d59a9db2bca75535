"""Runs that start a Ray of their own, with real signals: to Ray's processes, to replicas, to the driver."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.orchestrator.run.test_processes import hear_interrupts, wait_for_rows
from tests.orchestrator.run.test_session import stable
from tests.orchestrator.stored import latest_rows

pytestmark = [pytest.mark.ray, pytest.mark.slow]
RATES = [round(0.02 * step, 2) for step in range(49)]


@pytest.fixture
def content(make_study: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """Some hundred trials, which take a while."""
    return make_study(space={"clip_rates": RATES}, task={"validation_size": 400}, cluster={"replicas": 1})


@pytest.fixture
def driver(content: dict[str, Any], tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """The study, run by a process of its own that has just begun; its home marks what it starts."""
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    command = [str(Path(sys.executable).parent / "clipsweep"), "run", str(tmp_path / "study.yaml")]
    process = subprocess.Popen(
        [*command, "--dir", str(tmp_path / "s")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"HOME": str(tmp_path), "RAY_AUTH_MODE": "disabled"},
        preexec_fn=hear_interrupts,
    )
    try:
        wait_for_rows(tmp_path / "s", 1, limit_s=300)  # the first is stored at once, the others seconds later
        yield process
    finally:
        process.kill()
        process.communicate()


def started_with(home: Path) -> dict[int, str]:
    """Processes whose home is this folder, and what they are."""
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"HOME={home}\0".encode() in (place / "environ").read_bytes():
                found[int(place.name)] = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended, or is another user's
            continue
    return found


def send(home: Path, name: str, number: signal.Signals) -> None:
    """Send a signal to a process of a run, by its name."""
    (pid,) = [pid for pid, command in started_with(home).items() if name in command]
    os.kill(pid, number)


def wait_until_none_is_left(home: Path) -> None:
    for _ in range(600):
        if not started_with(home):
            return
        time.sleep(0.1)
    raise AssertionError(f"left behind: {started_with(home)}")


def test_a_run_whose_raylet_dies_starts_ray_again_and_has_the_rows_of_a_clean_run(
    driver: subprocess.Popen[str], content: dict[str, Any], tmp_path: Path, cache: Path
) -> None:
    send(tmp_path, "ray::ReplicaActor", signal.SIGSTOP)  # so that the study does not end before its raylet does
    send(tmp_path, "/raylet/raylet", signal.SIGKILL)
    _, errors = driver.communicate(timeout=400)
    assert driver.returncode == 0
    assert "Ray is lost: its raylet died; it is started again" in errors
    run_study(check_study(content | {"cluster": {"replicas": 0}}), tmp_path / "clean", cache, Console(quiet=True))
    assert stable(latest_rows(tmp_path / "s")) == stable(latest_rows(tmp_path / "clean"))
    wait_until_none_is_left(tmp_path)


def test_a_driver_that_is_killed_leaves_no_process_behind(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    driver.kill()
    wait_until_none_is_left(tmp_path)


def test_two_interrupts_end_a_run_whose_replica_hangs(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    send(tmp_path, "ray::ReplicaActor", signal.SIGSTOP)
    driver.send_signal(signal.SIGINT)
    assert driver.stderr is not None
    while "finishing what is in flight" not in driver.stderr.readline():
        assert driver.poll() is None
    driver.send_signal(signal.SIGINT)
    driver.wait(120)
    assert driver.returncode == 130
    wait_until_none_is_left(tmp_path)
