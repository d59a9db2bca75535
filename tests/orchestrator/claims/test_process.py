import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from clipsweep.orchestrator.claims.process import Life, Process, _state_and_start, this_process
from tests.orchestrator.claims.stale import ended_process, process_elsewhere


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that sleeps."""
    started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    yield started
    started.kill()
    started.wait()


def process_of(child: subprocess.Popen[bytes]) -> Process:
    found = _state_and_start(child.pid)
    assert found is not None
    return replace(this_process(), pid=child.pid, started=found[1])


def wait_for(process: Process, life: Life) -> None:
    until = time.monotonic() + 60
    while process.life() is not life:
        assert time.monotonic() < until, f"{process} is {process.life()}"
        time.sleep(0.01)


def test_a_process_that_runs_is_known_to() -> None:
    assert this_process().life() is Life.RUNS


def test_a_process_that_was_stopped_by_a_signal_is_known_to_live(child: subprocess.Popen[bytes]) -> None:
    process = process_of(child)
    os.kill(child.pid, signal.SIGSTOP)
    wait_for(process, Life.PAUSED)


def test_a_killed_process_has_ended_before_its_parent_has_heard_of_it(child: subprocess.Popen[bytes]) -> None:
    process = process_of(child)
    child.kill()
    wait_for(process, Life.ENDED)


def test_another_process_that_was_given_the_same_number_is_told_from_it() -> None:
    assert replace(this_process(), started="1").life() is Life.ENDED


def test_a_process_that_is_gone_has_ended() -> None:
    assert ended_process().life() is Life.ENDED


def test_of_a_process_of_another_machine_or_container_nothing_is_known() -> None:
    assert process_elsewhere().life() is Life.UNKNOWN
    assert replace(this_process(), namespace="pid:[1]").life() is Life.UNKNOWN
