"""What searches found where they were replayed: on search spaces that were evaluated once in full.

The table comes with the package. ``python -m tests.benchmarks.expectations`` makes it, of drivers that ask and are told
as in a run, every answer looked up.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from clipsweep.orchestrator.study.names import BAYES
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.base.files import whole_file

FILE = Path(__file__).parent / "replayed.csv"
FROM_TEXT: Mapping[str, Callable[[str], Any]] = {"str": str, "int": int, "float": float}
UNLUCKY = 0.1  # of the seeds


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a search of so many trials found on one surface, and what it cost; a line of the table.

    Attributes:
        surface: Its name.
        points: Points of it that clip something.
        max_clips: Most clips of a point.
        rows: Validation rows.
        driver: As a study names it; so are the next two.
        sampler: Empty where the driver has none.
        race: Empty without a race.
        n_trials: Points that might begin, the untouched model aside; a search may end before.
        seeds: How often it was replayed, each time on rows in another order, with other draws.
        median: Median over the seeds of the share of the gain: what the winner gains over the untouched model on
            held-out rows, next to what the winner of the full grid over all rows gains there.
        unlucky: The share that one seed in ten falls short of.
        rows_share: Validation rows evaluated ÷ all rows of as many trials and of the untouched model; median.
        operations_share: The same of operations, by the cost model.
    """

    surface: str
    points: int
    max_clips: int
    rows: int
    driver: str
    sampler: str
    race: str
    n_trials: int
    seeds: int
    median: float
    unlucky: float
    rows_share: float
    operations_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search is expected to find, and to cost, as ``Replayed`` has it."""

    median: float
    unlucky: float
    rows_share: float
    operations_share: float


class Curve:
    """What one kind of search found on one surface, by how much of it was begun.

    The measure is the number of trials where a sampler draws them, and the share of the points where they are visited
    in a fixed order. On halves of the surfaces ``tpe`` found as much as on the whole by as many trials, and far less by
    as large a share.
    """

    def __init__(self, lines: Sequence[Replayed]) -> None:
        """Take lines of one surface and kind of search, at least one."""
        self.lines = sorted(lines, key=lambda line: line.n_trials)
        self.surface = self.lines[0]
        self._begun = [_measure(line, line.n_trials, line.points) for line in self.lines]

    def reaches(self, n_trials: int, n_points: int) -> bool:
        """Whether as much was replayed as a study begins of its points."""
        return _measure(self.surface, n_trials, n_points) <= self._begun[-1]

    def at(self, n_trials: int, n_points: int) -> Found:
        """What lies between the two nearest budgets on a straight line; beyond the largest what was found there.

        Nothing is gained by no trials.

        Args:
            n_trials: That the study begins.
            n_points: Of its space.
        """
        begun = _measure(self.surface, n_trials, n_points)
        values = {
            name: [getattr(line, name) for line in self.lines]
            for name in ("median", "unlucky", "rows_share", "operations_share")
        }
        first = {"median": 0.0, "unlucky": 0.0} | {
            name: column[0] for name, column in values.items() if "share" in name
        }
        at = {
            name: float(np.interp(begun, [0.0, *self._begun], [first[name], *column]))
            for name, column in values.items()
        }
        return Found(**at)


def _measure(line: Replayed, n_trials: int, n_points: int) -> float:
    return n_trials if line.driver == BAYES else n_trials / n_points


def kind_of_search(search: SearchSection) -> tuple[str, str, str]:
    """Driver, sampler and race of a study, as the table has them."""
    return search.driver, search.sampler if search.driver == BAYES else "", search.race or ""


def curves_of(kind: tuple[str, str, str], lines: Iterable[Replayed]) -> list[Curve]:
    """What a kind of search found, a curve for each surface that it was replayed on; empty where it was on none."""
    same = sorted(
        (line for line in lines if (line.driver, line.sampler, line.race) == kind), key=lambda line: line.surface
    )
    return [Curve(list(of_surface)) for _, of_surface in groupby(same, key=lambda line: line.surface)]


def read_replayed(file: Path = FILE) -> list[Replayed]:
    """The table that comes with the package."""
    with file.open(encoding="utf-8", newline="") as opened:
        return [_line(row) for row in csv.DictReader(opened)]


def _line(row: Mapping[str, str]) -> Replayed:
    return Replayed(**{each.name: FROM_TEXT[str(each.type)](row[each.name]) for each in fields(Replayed)})


def write_replayed(lines: Iterable[Replayed], file: Path = FILE) -> None:
    """Write the table whole; fractions are rounded to four digits."""
    with whole_file(file) as draft, draft.open("w", encoding="utf-8", newline="") as opened:
        writer = csv.DictWriter(opened, [each.name for each in fields(Replayed)], lineterminator="\n")
        writer.writeheader()
        for line in lines:
            plain = asdict(line)
            writer.writerow(
                {name: round(value, 4) if isinstance(value, float) else value for name, value in plain.items()}
            )
