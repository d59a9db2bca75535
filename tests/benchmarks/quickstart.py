"""How long the demo takes: the whole command, Ray's start included, then once more with everything known."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.benchmarks.document import Line, at_most, print_document
from tests.orchestrator.stored import latest_rows


def run_once(home: Path) -> float:
    """Seconds of ``clipsweep run quickstart`` with its own home and folder."""
    started = time.perf_counter()
    subprocess.run(
        [str(Path(sys.executable).parent / "clipsweep"), "run", "quickstart", "--dir", str(home / "study")],
        env=os.environ | {"HOME": str(home), "CLIPSWEEP_CACHE": str(home / "cache"), "HF_HUB_OFFLINE": "1"},
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - started


def measure() -> Sequence[Line]:
    """Run the quickstart twice."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        first = run_once(home)
        rows = latest_rows(home / "study")
        second = run_once(home)
    return [
        at_most("quickstart, whole command", first, "s", 120),
        at_most("quickstart again, everything known", second, "s", 20),
        Line(name="trials of the quickstart", value=len(rows), unit=""),
        Line(name="seconds in trials, all replicas", value=sum(row.seconds for row in rows.values()), unit="s"),
    ]


if __name__ == "__main__":
    print_document(measure)
