"""How many blocks' norms a clip changes, and by how much, on the embedded model and on one of the shared folder.

Rows are few, as norms come from the demonstrations alone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.benchmarks.document import Line, print_document, tell
from tests.orchestrator.stored import latest_rows

SHARED = Path(os.environ.get("CLIPSWEEP_SHARED", "../shared"))
MODULES = ("mlp", "attn", "q", "k", "v")
RATES = (0.5, 0.9, 0.99)
COLUMNS = {"ΔW": "log_delta_w", "ΔW in feature space": "log_delta_w_softmax", "G": "log_implicit_gradient"}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "embedded": ("embedded", {"name": "episodes", "seed": 0}),
    "gptj-prompts-5m": (
        str(SHARED.resolve() / "models" / "gptj-prompts-5m"),
        {"name": "sst2", "path": str(SHARED.resolve() / "data" / "sst2"), "seed": 0},
    ),
}
Changes = list[tuple[int, NDArray[np.float64]]]  # the clipped layer, and what it changed in each block


def run(model: str, seeds: Sequence[int], folder: Path) -> list[StoredRow]:
    """The rows of a study of every layer, ten demonstrations each."""
    path, task = MODELS[model]
    study = {
        "name": "reach",
        "model": {"path": path},
        "task": {**task, "validation_size": 20, "test_size": 0},
        "space": {
            "layers": "all",
            "modules": list(MODULES),
            "shots": [10],
            "demo_seeds": list(seeds),
            "clip_rates": list(RATES),
        },
        "cluster": {"replicas": 0},
        "theory": True,
    }
    run_study(check_study(study), folder / "study", folder / "cache", Console(quiet=True))
    return list(latest_rows(folder / "study").values())


def changes(rows: Sequence[StoredRow], column: str) -> dict[tuple[str, float], Changes]:
    """What clips of each module and rate change, against the untouched model on the same demonstrations."""
    untouched = {row.demo_seed: np.array(getattr(row, column), dtype=float) for row in rows if not row.clips}
    found: dict[tuple[str, float], Changes] = {}
    for row in rows:
        for clip in row.clips:
            change = np.array(getattr(row, column), dtype=float) - untouched[row.demo_seed]
            found.setdefault((clip.module, clip.clip_rate), []).append((clip.layer, change))
    return found


def lines(model: str, seeds: Sequence[int]) -> Iterator[Line]:
    """Of each module and rate: changes of natural logs of norms in the clipped block, and in those after it."""
    with tempfile.TemporaryDirectory() as folder:
        rows = run(model, seeds, Path(folder))
    for name, column in COLUMNS.items():
        for (module, rate), found in changes(rows, column).items():
            first = 1 if module == "mlp" else 0
            told = [set(np.flatnonzero(change)) == set(range(layer + first, len(change))) for layer, change in found]
            own = np.array([change[layer] for layer, change in found])
            later = np.concatenate([change[layer + 1 :] for layer, change in found])
            figures = {
                "all from the clip on change, none before": (100 * np.mean(told), "%"),
                "its own block, mean": (own.mean(), ""),
                "its own block, how often it falls": (100 * np.mean(own < 0), "%"),
                "later blocks, mean": (later.mean(), ""),
                "later blocks, mean size": (np.abs(later).mean(), ""),
                "later blocks, how often they fall": (100 * np.mean(later < 0), "%"),
            }
            for what, (value, unit) in figures.items():
                yield Line(name=f"{model}, {module} at {rate:g}, {name}: {what}", value=float(value), unit=unit)


def measure(seeds: Sequence[int]) -> Iterator[Line]:
    """Every model that is there."""
    for model in MODELS:
        if model == "embedded" or SHARED.is_dir():
            yield from lines(model, seeds)


if __name__ == "__main__":
    chosen = (0,) if "--quick" in sys.argv else (0, 1, 2)
    print_document(lambda: [line for each in measure(chosen) for line in tell([each])])
