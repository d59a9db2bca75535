"""``make chaos``: every runner in a process of its own, its log and its document kept under ``results/``."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

FOLDER = Path(__file__).parent
RUNNERS = {  # with what each is asked for
    "system_calls": ("--all", "--jobs", str(os.cpu_count())),
    "random_kills": ("--times", "100", "--jobs", str(os.cpu_count())),
    "hangs": ("--times", "5"),
    "lost_messages": ("--times", "3"),
    "nodes": ("--times", "3"),
    "full_disk": ("--times", "20"),
}
MACHINE = "tests/orchestrator/run/test_machine.py"  # any order of results, failures, flushes, crashes and resumes
EXAMPLES = "500"
ITS_OWN_S = 3600  # for one runner


def main() -> int:
    """Run all, or those that are named; 1 where one missed a figure or did not end."""
    results = FOLDER / "results"
    results.mkdir(exist_ok=True)
    named = sys.argv[1:] or [*RUNNERS, "machine"]
    codes = {name: run_machine() if name == "machine" else run(name, results) for name in named}
    for name, code in codes.items():
        print(f"{name}: {'well' if code == 0 else f'exit code {code}, see {results}'}", file=sys.stderr)
    return int(any(codes.values()))


def run(name: str, results: Path) -> int:
    """One runner; its exit code."""
    began = time.monotonic()
    print(f"{name} …", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", f"tests.chaos.{name}", "--log", str(results / f"{name}.log"), *RUNNERS[name]]
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=ITS_OWN_S)
    except subprocess.TimeoutExpired:
        return 124
    if done.stdout:  # a runner whose tools are missing says so on standard error, and prints nothing
        (results / f"{name}.json").write_text(done.stdout, encoding="utf-8")
    print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return done.returncode


def run_machine() -> int:
    """The state machine of hypothesis, at length; its exit code."""
    command = [sys.executable, "-m", "pytest", MACHINE, "-q", "-m", "not gpu", "--timeout", str(ITS_OWN_S)]
    return subprocess.run(command, env={**os.environ, "CLIPSWEEP_MACHINE_EXAMPLES": EXAMPLES}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
