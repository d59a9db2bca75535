"""What measuring the paper's theory costs, while trials are scored and afterwards: shares of a study's seconds.

Needs the model and the rows of the shared folder, for the larger of its two models.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

from rich.console import Console

from clipsweep.analysis.theory.norms_file import NormsFile
from clipsweep.cluster.replica import Replica
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from tests.benchmarks.document import Line, at_most, print_document, tell
from tests.orchestrator.stored import latest_rows

SHARED = Path(os.environ.get("CLIPSWEEP_SHARED", "../shared"))
ROWS = (200, 600)
ROUNDS, QUICK_ROUNDS = 3, 1
MOST = 10.0  # percent of a study's seconds
SHOTS = 10
RATES = [0.9]
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "embedded": ("embedded", {"name": "episodes", "seed": 0}),
    "gptj-prompts-5m": (
        str(SHARED.resolve() / "models" / "gptj-prompts-5m"),
        {"name": "sst2", "path": str(SHARED.resolve() / "data" / "sst2"), "seed": 0},
    ),
}


def study_of(model: str, rows: int, *, theory: bool) -> dict[str, Any]:
    """A study of every layer, both modules, in the process itself, as a file would hold it."""
    path, task = MODELS[model]
    return {
        "name": "theory",
        "model": {"path": path},
        "task": {**task, "validation_size": rows, "test_size": 0},
        "space": {"layers": "all", "modules": ["mlp", "attn"], "shots": [SHOTS], "clip_rates": RATES},
        "cluster": {"replicas": 0, "cpus_per_replica": 1},
        "theory": theory,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a study took.

    Attributes:
        trials: Seconds of all trials, as their rows say.
        measuring: Those of measuring among them.
        evaluating: Processor seconds of evaluating.
        besides: Processor seconds of all else: mostly of the report.
        afterwards: Of a study without the theory, seconds of measuring its trials once they are stored, as the file
            says that keeps them; 0 of one with it.
        reading: Processor seconds of that.
    """

    trials: float
    measuring: float
    evaluating: float
    besides: float
    afterwards: float
    reading: float


class Clock:
    """Processor seconds of what replicas do."""

    def __init__(self) -> None:
        """Nothing is done yet."""
        self.seconds = 0.0

    def over(self, work: Callable[[Replica, Any], Any]) -> Callable[[Replica, Any], Any]:
        """The same work, whose time counts."""

        def timed(replica: Replica, asked: Any) -> Any:
            began = time.process_time()
            answer = work(replica, asked)
            self.seconds += time.process_time() - began
            return answer

        return timed


def run_once(model: str, rows: int, cache: Path, *, theory: bool) -> Taken:
    """Run a study; one without the theory once more with it, which measures what is stored."""
    evaluating, reading = Clock(), Clock()
    with (
        tempfile.TemporaryDirectory() as folder,
        patch.object(Replica, "evaluate", evaluating.over(Replica.evaluate)),
        patch.object(Replica, "norms", reading.over(Replica.norms)),
    ):
        place, began = Path(folder) / "study", time.process_time()
        run_study(check_study(study_of(model, rows, theory=theory)), place, cache, Console(quiet=True))
        processor = time.process_time() - began
        stored = latest_rows(place).values()
        if not theory:
            run_study(check_study(study_of(model, rows, theory=True)), place, cache, Console(quiet=True))
        kept = NormsFile(StudyFolder(place).norms).read().to_pylist()
        return Taken(
            trials=sum(row.seconds for row in stored),
            measuring=sum(row.theory_seconds or 0 for row in stored),
            evaluating=evaluating.seconds,
            besides=processor - evaluating.seconds,
            afterwards=sum(row["theory_seconds"] for row in kept),
            reading=reading.seconds,
        )


def lines(rounds: int) -> Iterator[Line]:
    """With and without in turn, so that what else the machine does meets both; medians."""
    for model in MODELS:
        if model != "embedded" and not SHARED.is_dir():
            print(f"no shared folder at {SHARED}; set CLIPSWEEP_SHARED", file=sys.stderr)
            continue
        with tempfile.TemporaryDirectory() as cache:
            run_once(model, ROWS[0], Path(cache), theory=True)  # fills the cache, as any earlier study has
            for rows in ROWS:
                taken = [
                    [run_once(model, rows, Path(cache), theory=theory) for theory in (True, False)]
                    for _ in range(rounds)
                ]
                where = f"{model}, {rows:,} rows"
                share = median(on.measuring / on.trials for on, _ in taken)
                yield at_most(f"{where}: measuring, of the trials' seconds", 100 * share, "%", MOST)
                later = median(off.afterwards / off.trials for _, off in taken)
                yield Line(name=f"{where}: measuring afterwards, of the trials' seconds", value=100 * later, unit="%")
                later = median(off.reading / off.evaluating for _, off in taken)
                yield Line(name=f"{where}: processor time of that, of evaluating's", value=100 * later, unit="%")
                yield Line(name=f"{where}: trials' seconds", value=median(on.trials for on, _ in taken), unit="s")
                more = median(on.evaluating / off.evaluating - 1 for on, off in taken)
                yield Line(name=f"{where}: processor time of evaluating, more than without", value=100 * more, unit="%")
                besides = median(on.besides - off.besides for on, off in taken)
                yield Line(name=f"{where}: processor time of the report and all else, more", value=besides, unit="s")


if __name__ == "__main__":
    n_rounds = QUICK_ROUNDS if "--quick" in sys.argv else ROUNDS
    print_document(lambda: [line for each in lines(n_rounds) for line in tell([each])])
