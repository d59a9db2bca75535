"""A process that outlives the driver: once that is gone, it ends every process of the Ray that the driver started.

Ray's processes look after each other, and yet some stayed behind in two of three kills of a driver. The guard knows
them by a mark in their environment, which every process inherits, and hears of the driver's end by a pipe. It is run
from this file, which imports what is in Python alone. Where there is no ``/proc``, as on macOS, it finds nothing.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "CLIPSWEEP_RAY"  # name of the variable
KEEP_ENVIRONMENT = "SPT_NOENV"  # without it Ray's agents, which rename themselves, lose their variables in /proc
LOOK_AGAIN_S = 0.05
PATIENCE_S = 60.0  # with processes that do not die of SIGKILL: they wait for a disk or a driver
END_S = 15.0
PROCESSES = Path("/proc")


@contextmanager
def variables_kept(*names: str) -> Iterator[None]:
    """On leaving, give variables of the environment the values that they had, or none."""
    before = {name: os.environ.get(name) for name in names}
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


class Guard:
    """Watches over the processes that are started while ``marking``."""

    def __init__(self) -> None:
        """Start the guard, in a session of its own: what ends the driver's does not reach it."""
        self._mark = uuid.uuid4().hex
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, self._mark],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    @contextmanager
    def marking(self) -> Iterator[None]:
        """Inside the block new processes, and all that they start later, carry the mark."""
        with variables_kept(MARK, KEEP_ENVIRONMENT):  # what this process starts later is no part of Ray
            os.environ |= {MARK: self._mark, KEEP_ENVIRONMENT: "1"}
            yield

    def kill_all(self) -> None:
        """End every process that carries the mark."""
        kill_marked(self._mark, END_S)

    def close(self) -> None:
        """End what is left, and the guard."""
        assert self._process.stdin is not None, "it was started with a pipe"
        self._process.stdin.close()
        try:
            self._process.wait(END_S)
        except subprocess.TimeoutExpired:  # it goes on without us
            return


def kill_marked(mark: str, patience_s: float) -> None:
    """Send SIGKILL to every process that carries a mark, until there is none, or for so long."""
    until = time.monotonic() + patience_s
    while (found := _marked(mark)) and time.monotonic() < until:
        for process in found:
            _kill(process)
        time.sleep(LOOK_AGAIN_S)


def _marked(mark: str) -> list[int]:
    """Processes whose environment holds the mark; of other users' processes it cannot be read."""
    wanted = f"{MARK}={mark}".encode()
    numbers = [int(path.name) for path in PROCESSES.glob("[0-9]*")]
    return [number for number in numbers if number != os.getpid() and wanted in _environment(number)]


def _environment(process: int) -> bytes:
    """The variables that a process was started with; none of one that is gone, or another user's."""
    try:
        return (PROCESSES / str(process) / "environ").read_bytes()
    except OSError:
        return b""


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:  # it ended by itself
        return


def main() -> None:
    """Wait until the driver has closed its end of the pipe, or is gone; then end what it left."""
    sys.stdin.buffer.read()
    kill_marked(sys.argv[1], PATIENCE_S)


if __name__ == "__main__":
    main()
