"""What searching costs besides evaluating: planning a large grid, and asking and telling Optuna."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from clipsweep.analysis.store.row import Record, StoredRow
from clipsweep.orchestrator.drivers.build import make_driver
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.plan.ahead import look_ahead
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.study.check import check_study
from tests.benchmarks.document import Line, at_most

POINTS = 100_000
TRIALS = 1000
GRID: dict[str, Any] = {
    "name": "large",
    "model": {"path": "embedded"},
    "task": {"name": "episodes", "validation_size": 100, "test_size": 100},
    "space": {"shots": list(range(9)), "clip_rates": [number / 1000 for number in range(926)]},
    "cluster": {"replicas": 0},
}


def overhead_lines() -> Iterator[Line]:
    """Both, in processes of their own."""
    with tempfile.TemporaryDirectory() as folder:
        _in_process("plan", folder)  # shapes of the model are kept from now on, as in any second command
        planned = _in_process("plan", folder)
        yield at_most(f"planning and telling {planned['points']:,} grid points", planned["seconds"], "s", 20)
        yield at_most("peak memory of that", planned["megabytes"], "MB", 300)
        few, many = (_in_process(part, folder) for part in ("ahead-few", "ahead-many"))
        yield at_most(f"looking ahead over {many['points']:,} grid points", many["seconds"], "s", 5)
        more = many["megabytes"] - few["megabytes"]
        yield at_most(f"peak memory of that, above that for {few['points']:,}", more, "MB", 5)
        asked = _in_process("ask", folder)
        yield at_most(f"bayes (tpe), overhead per trial at {TRIALS:,} trials", asked["milliseconds"], "ms", 20)


def _in_process(part: str, folder: str) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.benchmarks.overhead", part, folder]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def plan(folder: Path) -> dict[str, float]:
    """Check a study, look ahead, ask for every point, tell its row, and list the points that could win."""
    began = time.perf_counter()
    opened = prepare(check_study(GRID), folder / "study", folder / "cache").opened
    assert len(opened.space) >= POINTS
    ledger = Ledger(opened)
    look_ahead(opened, ledger)
    driver = make_driver(opened, {})
    while not driver.done:
        for proposal in driver.ask(8):
            driver.tell(proposal, _complete(ledger.trial(proposal).trial_id, 0.5))
    opened.points({})
    return {"points": len(opened.space), "seconds": time.perf_counter() - began, "megabytes": peak_bytes() / 1e6}


def look(folder: Path, n_rates: int) -> dict[str, float]:
    """Check a study of 9 shots, 10 seeds and 12 sites, and count the trials that it has before it."""
    space = {**GRID["space"], "demo_seeds": list(range(10)), "clip_rates": [each / n_rates for each in range(n_rates)]}
    opened = prepare(check_study({**GRID, "space": space}), folder / "study", folder / "cache").opened
    began = time.perf_counter()
    look_ahead(opened, Ledger(opened))
    return {"points": len(opened.space), "seconds": time.perf_counter() - began, "megabytes": peak_bytes() / 1e6}


def _complete(trial_id: str, accuracy: float) -> StoredRow:
    """The row of a trial that has seen all examples, as far as drivers look at it."""
    record: Record = {"trial_id": trial_id, "state": "complete", "accuracy": accuracy}
    return StoredRow.of(record | {"parameters_kept": 1, "n_examples": 100})


def peak_bytes() -> int:
    """Most memory that this process has held; ``getrusage`` would count its parent's as well."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def ask(folder: Path) -> dict[str, float]:
    """Ask and tell on the journal in the study's folder; the last hundred of so many trials count."""
    content = {
        **GRID,
        "space": {
            "shots": [0, 4, 10],
            "modules": ["attn", "mlp", "q", "k", "v", "o", "fc_in", "fc_out"],
            "clip_rates": [number / 20 for number in range(1, 20)],
        },
        "search": {"driver": "bayes", "n_trials": TRIALS},
    }
    opened = prepare(check_study(content), folder / "asked", folder / "cache").opened
    (folder / "asked").mkdir()
    rng = np.random.default_rng(0)
    driver = make_driver(opened, {})
    marks = []
    while not driver.done:
        for proposal in driver.ask(1):
            driver.tell(proposal, _complete(repr(proposal.spec), float(rng.random())))
        marks.append(time.perf_counter())
    return {"trials": len(marks), "milliseconds": 1000 * (marks[-1] - marks[-101]) / 100}


if __name__ == "__main__":
    parts: dict[str, Callable[[Path], dict[str, float]]] = {
        "plan": plan,
        "ahead-few": partial(look, n_rates=10),
        "ahead-many": partial(look, n_rates=1000),
        "ask": ask,
    }
    print(json.dumps(parts[sys.argv[1]](Path(sys.argv[2]))))
