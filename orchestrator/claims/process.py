"""What tells a process from every other, on any machine and at any time, and whether it still lives."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

PROC = Path("/proc")
ENDED = {"Z", "X", "x"}  # letters of /proc for a process that has ended and waits for its parent
PAUSED = {"T", "t"}  # stopped by a signal, or by a debugger


class Life(StrEnum):
    """What is known of a process: ``unknown`` where it is of another machine, or cannot be looked at."""

    RUNS = "runs"
    PAUSED = "paused"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process, as others can find it.

    Attributes:
        pid: Its number.
        host: Name of its machine, for people.
        boot: Which start of which machine; hosts may share a name, and numbers begin anew at each start.
        namespace: In which numbers of processes are counted: a container has one of its own.
        started: When it started, by the kernel's count; the number of one that has ended is given to others.
    """

    pid: int
    host: str
    boot: str
    namespace: str
    started: str

    def life(self) -> Life:
        """Whether it lives, as far as this process can tell."""
        here = (_boot(), _namespace())
        if "" in here or (self.boot, self.namespace) != here:
            return Life.UNKNOWN
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return Life.ENDED
        except PermissionError:  # of another user
            pass
        found = _state_and_start(self.pid)
        if found is None:
            return Life.UNKNOWN
        state, started = found
        if started != self.started or state in ENDED:
            return Life.ENDED
        return Life.PAUSED if state in PAUSED else Life.RUNS

    def __str__(self) -> str:
        """As messages name it."""
        return f"process {self.pid} on {self.host}"


def this_process() -> Process:
    """This one."""
    found = _state_and_start(os.getpid())
    started = "" if found is None else found[1]
    return Process(pid=os.getpid(), host=platform.node(), boot=_boot(), namespace=_namespace(), started=started)


def _boot() -> str:
    """Which start of which machine this is; empty where the system does not say."""
    return _first_line(PROC / "sys/kernel/random/boot_id")


def _namespace() -> str:
    try:
        return os.readlink(PROC / "self/ns/pid")
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str] | None:
    """The letter of a process's state, and when it started; None where it cannot be seen."""
    fields = (
        _first_line(PROC / str(pid) / "stat").rpartition(")")[2].split()
    )  # its name, in brackets, may hold any text
    return (fields[0], fields[19]) if len(fields) > 19 else None


def _first_line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:  # no Linux, or a process that is hidden from other users
        return ""
