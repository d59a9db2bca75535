"""The guard alone, without Ray: real processes, killed with real signals."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

DRIVER = """
import subprocess, sys, time
from clipsweep.cluster.ray_cluster.guard import Guard
guard = Guard()
with guard.marking():
    renamed = "import ray, time; ray._raylet.setproctitle('ray::Agent'); print('there', flush=True); time.sleep(300)"
    agent = subprocess.Popen([sys.executable, "-c", renamed], stdout=subprocess.PIPE, start_new_session=True)
    agent.stdout.readline()
    command = ["sh", "-c", "sleep 300 & echo $!; exec sleep 300"]
    ours = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
other = subprocess.Popen(["sleep", "300"], stdout=subprocess.DEVNULL)
print(agent.pid, ours.pid, int(ours.stdout.readline()), guard._process.pid, other.pid, flush=True)
time.sleep(float(sys.argv[1]))
guard.close()
"""


def is_alive(pid: int) -> bool:
    """Whether a process runs: a zombie, which nobody has taken leave of, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    for _ in range(1200):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come true in time")


def start_driver(seconds: float) -> tuple[subprocess.Popen[str], list[int]]:
    """A driver, and what it started: marked processes, one renamed as Ray's are, its guard, and one without a mark."""
    driver = subprocess.Popen([sys.executable, "-c", DRIVER, str(seconds)], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    return driver, [int(pid) for pid in driver.stdout.readline().split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="marks are read from /proc")
@pytest.mark.parametrize("seconds", [0, 300])
def test_what_a_driver_marked_ends_with_it_however_that_ends_and_nothing_else_does(seconds: float) -> None:
    driver, (*marked, guard, other) = start_driver(seconds)
    try:
        if seconds:
            driver.kill()
        driver.wait(60)
        wait_until(lambda: not any(map(is_alive, (*marked, guard))))
        assert is_alive(other)
    finally:
        os.kill(other, 9)
        assert driver.stdout is not None
        driver.stdout.close()
