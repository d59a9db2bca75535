"""Count the system calls of a command that touch its files, and make one of them fail, or be the last.

``strace`` watches the main thread alone, which writes all but what says that the run lives; so its counts are exact.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.tools.warm import Job, WarmProcess

STORING = (  # what puts content and names on disk
    *("fsync", "fdatasync"),
    *("rename", "renameat", "renameat2", "link", "linkat", "symlink"),
    *("write", "pwrite64", "writev", "ftruncate"),
)
CALLS = (*STORING, *("unlink", "unlinkat", "rmdir"), *("mkdir", "mkdirat"), "openat")
FAULTS = {"SIGKILL": "signal=KILL", "EIO": "error=EIO", "ENOSPC": "error=ENOSPC"}
FOR_WRITING = ("O_WRONLY", "O_RDWR")
SEEN = re.compile(r"^(?:(?P<thread>\d+) +)?(?P<name>\w+)\((?P<arguments>.*)")
PATHS = re.compile(r'"([^"]*)"|<(/[^>]*)>')
NOTHING_DONE = re.compile(r" = -1 ")  # a folder that is there already, a draft that is gone
ATTACH_S = 30


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of a command.

    Attributes:
        name: As the kernel calls it.
        number: Counted from 1 among the calls of that name.
        path: What it touches: for a rename what comes of it.
    """

    name: str
    number: int
    path: Path


def missing_strace() -> str | None:
    """Why calls cannot be traced here; None where they can."""
    if shutil.which("strace") is None:
        return "strace is missing; 'apt-get install strace' has it"
    tried = subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"strace is refused here: {tried.stderr.strip().splitlines()[-1]}"


def count_calls(process: WarmProcess, job: Job, log: Path) -> tuple[int, list[Call]]:
    """Run a job, and list what it does to files.

    Args:
        process: Runs it.
        job: It; with a gate.
        log: What strace writes; it stays.

    Returns:
        Its exit code and, in order, its calls that may have changed a file, whichever.
    """
    code = _traced(process, job, log, ["-f"])
    return code, [call for call, changed in _read_calls(log) if changed]


def run_with_fault(process: WarmProcess, job: Job, log: Path, call: Call, fault: str) -> tuple[int, Call | None]:
    """Run a job with a fault at the n-th call of a name.

    Args:
        process: Runs it.
        job: It; with a gate.
        log: What strace writes; it stays.
        call: Which name, and which number.
        fault: Of ``FAULTS``.

    Returns:
        Its exit code, and the call that the fault hit; none where it came to its end before.
    """
    what = f"inject={call.name}:{FAULTS[fault]}:when={call.number}"
    code = _traced(process, job, log, ["-e", what], call.name)
    return code, next((each for each, _ in _read_calls(log) if each.number == call.number), None)


def _traced(process: WarmProcess, job: Job, log: Path, options: Sequence[str], *names: str) -> int:
    """Run a job under strace; its exit code."""
    assert job.gate is not None
    os.mkfifo(job.gate)
    pid = process.start(job)
    watched = ",".join(names or CALLS)
    command = ["strace", "-qq", "-y", "-s", "200", "-o", str(log), "-e", f"trace={watched}", *options, "-p", str(pid)]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    _await_tracer(pid, tracer)
    _open_gate(job.gate, tracer)
    code = process.wait()
    tracer.communicate()
    return code


def _open_gate(gate: Path, tracer: subprocess.Popen[str]) -> None:
    """Let a job begin that waits at its gate; one that has died there never opens it."""
    until = time.monotonic() + ATTACH_S
    while True:
        with suppress(OSError):  # nobody waits there yet
            os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
            return
        assert tracer.poll() is None, "the job ended before it began"
        assert time.monotonic() < until, "the job did not come to its gate"
        time.sleep(0.002)


def _await_tracer(pid: int, tracer: subprocess.Popen[str]) -> None:
    until = time.monotonic() + ATTACH_S
    while "TracerPid:\t0\n" in Path(f"/proc/{pid}/status").read_text(encoding="ascii"):
        assert tracer.poll() is None, tracer.communicate()[1]
        assert time.monotonic() < until, "strace did not attach"
        time.sleep(0.002)


def _read_calls(log: Path) -> Iterator[tuple[Call, bool]]:
    """The calls of the main thread, each with whether it may have changed a file; numbered as strace counts them."""
    counts: Counter[str] = Counter()
    main: str | None = None
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        found = SEEN.match(line)
        if found is None:
            continue
        main = main or found["thread"]
        if found["thread"] != main:
            continue
        name, arguments = found["name"], found["arguments"]
        counts[name] += 1
        paths = [one or other for one, other in PATHS.findall(arguments)] or ["?"]
        named = [path for path in paths if path.startswith("/")]
        reads = name == "openat" and not any(flag in arguments for flag in FOR_WRITING)
        changed = not reads and NOTHING_DONE.search(arguments) is None
        yield Call(name, counts[name], Path((named or paths)[-1])), changed
