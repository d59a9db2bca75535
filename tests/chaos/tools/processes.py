"""Which processes a run has started: Ray's, of one run among several."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

MARK = "CHAOS_RUN"  # variable that every process of a run inherits
PARTS = {"raylet": "raylet/raylet", "gcs": "gcs_server", "replica": "ray::ReplicaActor"}  # as a command line has them


class Processes:
    """Those of one run: by a mark in their environment, or by Ray's folder in their command line."""

    def __init__(self, ray_folder: Path) -> None:
        """Of the run whose Ray lives in this folder, which is also the mark."""
        self._folder = ray_folder

    @property
    def environment(self) -> dict[str, str]:
        """What a run is given, so that its processes are known."""
        home = str(self._folder)
        return {MARK: home, "RAY_TMPDIR": home, "HOME": home}

    def all(self) -> dict[int, str]:
        """Command lines by process id; what has died and was not yet taken notice of is none."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            command, environment = _read(path / "cmdline"), _read(path / "environ")
            mine = f"{MARK}={self._folder}".encode() in environment or str(self._folder).encode() in command
            if command and mine and int(path.name) != os.getpid():
                found[int(path.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        return found

    def named(self, part: str) -> list[int]:
        """Process ids of a part of Ray, a key of ``PARTS``, in order."""
        return sorted(pid for pid, command in self.all().items() if PARTS[part] in command)

    def left_after(self, patience_s: float) -> dict[int, str]:
        """What is still there after so long."""
        wait_until(lambda: not self.all(), patience_s)
        return self.all()

    def end(self) -> None:
        """Kill what is there."""
        for pid in self.all():
            kill(pid, signal.SIGKILL)


def kill(pid: int, number: signal.Signals) -> bool:
    """Send a signal; whether there was a process to send it to."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def wait_until(true: Callable[[], object], patience_s: float, every_s: float = 0.05) -> bool:
    """Wait until something is true; False where it is not after so long."""
    until = time.monotonic() + patience_s
    while not true():
        if time.monotonic() > until:
            return False
        time.sleep(every_s)
    return True


def one_of(pids: list[int], rng: random.Random) -> int | None:
    """A process drawn at random; None of none."""
    return rng.choice(pids) if pids else None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended meanwhile, or is another user's
        return b""
