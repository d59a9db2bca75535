"""How good the time left is: studies of each kind are run in-process, and what is told is compared with what was left.

The clock is the processor time of the process, which other work on the machine does not stretch.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.progress.counts import Counts
from clipsweep.orchestrator.progress.time_left import TimeLeft
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.trials.spec.result import TrialResult
from tests.benchmarks.document import Line, at_most, print_document, tell

SHARES = (0.1, 0.25, 0.5, 0.75)  # of the whole time
LARGER = {"space.shots": [0, 10], "space.layers": "all", "space.modules": ["attn", "mlp", "all"]}
RACE = LARGER | {"task.validation_size": 1000}
STUDIES: Mapping[str, dict[str, Any]] = {
    "layers": {},
    "grid": LARGER,
    "halving": RACE | {"search.race": "halving"},
    "test": RACE | {"search.race": "test"},
    "bayes": LARGER | {"search.driver": "bayes", "search.n_trials": 100},
    "bayes, halving": RACE | {"search.driver": "bayes", "search.n_trials": 100, "search.race": "halving"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What had ended, and what was expected to be left, when results came."""

    at: float
    ended: Amount
    left: Amount | None


@contextmanager
def traced(trace: list[Moment], started: list[float]) -> Iterator[None]:
    """Note every start of the clock, and every arrival of results, of the runs inside the block."""
    arrive, start_clock = Counts.arrive, Counts.start_clock

    def start(self: Counts) -> None:
        start_clock(self)
        started.append(time.process_time())

    def note(self: Counts, results: Sequence[TrialResult]) -> None:
        arrive(self, results)
        trace.append(Moment(at=time.process_time(), ended=self.ended, left=self.left.amount()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Counts, "arrive", note)
        patch.setattr(Counts, "start_clock", start)
        yield


def run(changes: Mapping[str, Any]) -> tuple[list[Moment], float]:
    """Run a study in this process; what came when, and when its model was loaded."""
    trace: list[Moment] = []
    started: list[float] = []
    (study,) = read_studies("layers", [*changes.items(), ("cluster.replicas", 0)])
    with tempfile.TemporaryDirectory() as folder, traced(trace, started):
        run_study(study, Path(folder) / "s", Path(folder) / "cache", Console(quiet=True))
    return trace, started[-1]


def ratios(trace: Sequence[Moment], began: float) -> list[float]:
    """What was told of the time left, by what was left, at each share of the whole time; NaN where nothing was."""
    told, whole = TimeLeft(), trace[-1].at - began
    told.start(began)
    wanted, found = list(SHARES), []
    for moment, following in pairwise(trace):
        told.note(moment.at, moment.ended)
        while wanted and following.at - began > wanted[0] * whole:
            seconds = None if moment.left is None else told.seconds(moment.left)
            really = (1 - wanted.pop(0)) * whole
            found.append(math.nan if seconds is None else seconds / really)
    return found


def measure_study(name: str, changes: Mapping[str, Any]) -> Sequence[Line]:
    """The farthest that what was told is from what was left, as a factor, and each ratio."""
    trace, began = run(changes)
    found = ratios(trace, began)
    farthest = max(max(ratio, 1 / ratio) for ratio in found if not math.isnan(ratio))
    lines = [
        Line(name=f"{name}, told by real time left at {share:.0%}", value=ratio, unit="")
        for share, ratio in zip(SHARES, found, strict=True)
        if not math.isnan(ratio)  # nothing is told yet
    ]
    whole = Line(name=f"{name}, whole time", value=trace[-1].at - began, unit="s")
    return tell([whole, *lines, at_most(f"{name}, farthest from the truth by a factor of", farthest, "", 2.0)])


def measure() -> Sequence[Line]:
    """Each study; with ``--quick`` the smallest of them."""
    studies = {"layers": STUDIES["layers"]} if "--quick" in sys.argv else STUDIES
    return list(chain.from_iterable(measure_study(name, changes) for name, changes in studies.items()))


if __name__ == "__main__":
    print_document(measure)
