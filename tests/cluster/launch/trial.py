"""A study for the clusters that are tried, and what must not depend on where it ran."""

import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests.orchestrator.stored import all_rows

LAUNCH = Path(__file__).parents[3] / "cluster" / "launch"
OF_THE_RUN = {"seconds", "started_at", "finished_at", "replica", "node", "versions"}
STUDY: dict[str, Any] = {
    "name": "launched",
    "model": {"path": "embedded"},
    "task": {"name": "episodes", "validation_size": 800, "test_size": 100, "seed": 0},
    "space": {
        "layers": "all",
        "modules": ["attn", "mlp"],
        "shots": [4, 8, 10],
        "clip_rates": [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99],
    },
    "cluster": {"microbatch": 50},
}


def write_study(folder: Path, validation_size: int) -> Path:
    """With 800 rows it takes a minute or more."""
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(STUDY | {"task": STUDY["task"] | {"validation_size": validation_size}}))
    return file


def run_cleanly(study: Path, folder: Path) -> None:
    """Run the study in one process, without Ray and without a stop."""
    command = [sys.executable, "-m", "clipsweep", "run", str(study), "--dir", str(folder), "--replicas", "0", "-q"]
    subprocess.run(command, check=True)


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What must be the same wherever and however often a study was started, by trial."""
    records = {row.trial_id: row.record() for row in all_rows(folder)}
    return {key: {name: record[name] for name in record.keys() - OF_THE_RUN} for key, record in records.items()}


def processes_with(variable: str, value: str) -> list[str]:
    """The command lines of processes in whose environment a variable has this value."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):  # it has ended, or is another user's
            if process.environ().get(variable) == value:
                found.append(" ".join(process.cmdline()))
    return found


def most_attempts(folder: Path) -> int:
    """How often the trial was run that was run most often."""
    return max(Counter(row.trial_id for row in all_rows(folder)).values())
