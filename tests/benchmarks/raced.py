"""Raced studies on a real small model and real rows: what they take, and where, beside the same under older code.

``--before FOLDER`` names a checkout, such as a git worktree: the same studies run under its code and under this one's
in turn, so that what else the machine does meets both, and ratios are of medians. Told are the times of the whole
study, and of its loop: from the moment when the model is loaded to the last trial told.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks.document import Line, at_least, print_document, tell
from tests.benchmarks.surfaces import SHARED

HERE = Path(__file__).parents[2]
ROUNDS, QUICK_ROUNDS = 3, 1
FASTER = 2.0
RATES, QUICK_RATES = [0.5, 0.75, 0.9, 0.95, 0.99, 0.995], [0.9, 0.99]
ROWS, QUICK_ROWS = 1000, 300
RACED: dict[str, dict[str, Any]] = {"grid": {"driver": "grid"}, "bayes": {"driver": "bayes", "n_trials": 48}}
Told = dict[str, Any]  # what ``raced_study`` prints


def study(search: dict[str, Any], *, quick: bool) -> dict[str, Any]:
    """All layers and both modules of the shared model, on SST-2 with ten demonstrations, raced by halving."""
    return {
        "name": "raced",
        "model": {"path": str(SHARED.resolve() / "models" / "gptj-prompts-5m")},
        "task": {
            "name": "sst2",
            "path": str(SHARED.resolve() / "data" / "sst2"),
            "validation_size": QUICK_ROWS if quick else ROWS,
            "test_size": 0,
        },
        "space": {
            "layers": "all",
            "modules": ["attn", "mlp"],
            "shots": [10],
            "clip_rates": QUICK_RATES if quick else RATES,
        },
        "search": {**search, "race": "halving"},
        "cluster": {"replicas": 0, "cpus_per_replica": 1},
    }


def run_under(checkout: Path, content: dict[str, Any], cache: Path) -> Told:
    """Run a study in a process of its own, under the code of a checkout."""
    script = HERE / "tests" / "benchmarks" / "raced_study.py"
    environment = os.environ | {"PYTHONPATH": str(checkout.resolve()), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        given = json.dumps({"study": content, "folder": f"{folder}/study", "cache": str(cache)})
        command = [sys.executable, "-P", str(script), given]  # -P: of no checkout but the one named
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment, cwd=folder)
    return dict(json.loads(printed.stdout))


def compare(name: str, before: Sequence[Told], after: Sequence[Told]) -> Iterator[Line]:
    """Ratios of one study's medians, and how far the two checkouts found the same."""
    for phase, words in (("all", "whole study"), ("loop", "loop")):
        for clock in ("wall", "processor"):
            ratio = median(each[clock][phase] for each in before) / median(each[clock][phase] for each in after)
            yield at_least(f"{name}: {words}, {clock} time before ÷ after", ratio, "", FASTER)
    ratio = before[-1]["operations"] / after[-1]["operations"]
    yield Line(name=f"{name}: operations that rows are charged, before ÷ after", value=ratio, unit="")
    rows, others = before[-1]["rows"], after[-1]["rows"]
    pairs = [zip(rows[trial], others[trial], strict=False) for trial in rows.keys() & others.keys()]
    turned = sum(old != new for pair in pairs for old, new in pair)
    yield Line(name=f"{name}: answers that differ", value=turned, unit="")
    yield Line(name=f"{name}: trials, or their rows, that differ", value=_parted(rows, others), unit="")


def _parted(rows: dict[str, list[bool]], others: dict[str, list[bool]]) -> int:
    """Trials that one of two runs alone has, or that saw more rows in one."""
    return sum(len(rows.get(trial, ())) != len(others.get(trial, ())) for trial in rows.keys() | others.keys())


def describe(name: str, told: Sequence[Told]) -> Iterator[Line]:
    """Where the time of a study goes."""
    for clock in ("wall", "processor"):
        for phase, words in (("all", "whole study"), ("start", "start to the loaded model"), ("loop", "loop")):
            yield Line(
                name=f"{name}: {words}, {clock} time", value=median(each[clock][phase] for each in told), unit="s"
            )
    for part, words in (("captures", "passes of the untouched model"), ("trials", "trials")):
        yield Line(name=f"{name}: {words} in the loop, wall time", value=median(each[part] for each in told), unit="s")
    yield Line(name=f"{name}: trials", value=len(told[-1]["rows"]), unit="")
    yield Line(name=f"{name}: rows evaluated", value=sum(map(len, told[-1]["rows"].values())), unit="")


def measure() -> Sequence[Line]:
    """Both searches, each checkout in turn."""
    quick, before = OPTIONS.quick, OPTIONS.before
    checkouts = [HERE] if before is None else [before, HERE]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as cache:
        for search in RACED.values():  # fills the cache with factors and file hashes, as any earlier study has
            run_under(HERE, study(search, quick=True), Path(cache))
        for name, search in RACED.items():
            content = study(search, quick=quick)
            rounds = range(QUICK_ROUNDS if quick else ROUNDS)
            told = [[run_under(checkout, content, Path(cache)) for checkout in checkouts] for _ in rounds]
            after = [each[-1] for each in told]
            lines += tell(list(describe(name, after)))
            if before is not None:
                old = [each[0] for each in told]
                lines += tell([*describe(f"{name}, before", old), *compare(name, old, after)])
    return lines


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer rows and rates, and one round")
    parser.add_argument("--before", type=Path, help="a checkout of other code to compare with, such as a git worktree")
    OPTIONS = parser.parse_args()
    if not SHARED.is_dir():
        print(f"no shared folder at {SHARED}; set CLIPSWEEP_SHARED", file=sys.stderr)
    else:
        print_document(measure)
