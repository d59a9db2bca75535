"""Claims of processes that are gone, or of machines that cannot be asked."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from clipsweep.orchestrator.claims.claims import Claim, Claims
from clipsweep.orchestrator.claims.process import Process, _state_and_start, this_process


def ended_process() -> Process:
    """A process of this machine that has ended."""
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return replace(this_process(), pid=child.pid)


def running_process() -> Process:
    """Another process of this machine that runs: the one that started this one."""
    found = _state_and_start(os.getppid())
    assert found is not None
    return replace(this_process(), pid=os.getppid(), started=found[1])


def process_elsewhere() -> Process:
    """A process of another machine."""
    return replace(this_process(), host="elsewhere", boot="another")


def left_behind(folder: Path, process: Process, beat_seconds: float = 0.05) -> Claims:
    """Claims of which the newest, of number 7, was left by a process, with its last beat."""
    claims = Claims(folder)
    assert claims.make(replace(Claim.new(7), process=process, beat_seconds=beat_seconds))
    claims.beat_path(7).write_bytes(b"7")
    return claims
