"""How often a race stops a point that truly beats the winner by more than the indifference.

The rows of a surface, validation and held-out together, are taken for the population: a point's true value is its mean
over all of them, and each replay draws validation rows of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from orchestrator.race import Entry, Race, SequentialTest, make_rungs
from tests.benchmarks.surfaces import Surface

INDIFFERENCE, ERROR_RATE = 0.005, 0.05
MakeRace = Callable[[int], Race]


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseStops:
    """What a race did over all replays.

    Attributes:
        replays: How many.
        false: Replays in which a stopped point beats the winner by more than the indifference.
        rows_share: Mean share of the whole grid's rows.
        operations_share: The same of operations.
    """

    replays: int
    false: int
    rows_share: float
    operations_share: float

    @property
    def rate(self) -> float:
        """Share of replays with a false stop."""
        return self.false / self.replays

    @property
    def upper_bound(self) -> float:
        """Upper end of the one-sided 95 % interval of the rate (Clopper and Pearson, 1934)."""
        return float(stats.binomtest(self.false, self.replays, alternative="less").proportion_ci(0.95).high)


class WilcoxonRace(Race):
    """The rule of Optuna 5.0's ``WilcoxonPruner`` at the rungs: signed ranks against the best that has finished."""

    def __init__(self, p_threshold: float) -> None:
        """Nobody has finished."""
        self._p_threshold = p_threshold
        self._best: Entry | None = None
        self._next: list[Entry] = []

    def arrived(self, entry: Entry) -> None:
        """Let it go on unless it is significantly behind, and its mean is below the best's."""
        best = self._best
        if best is not None and best.outcomes.mean() > entry.outcomes.mean():
            differences = entry.outcomes - best.outcomes[: len(entry.outcomes)]
            found = stats.wilcoxon(differences, alternative="less", zero_method="zsplit")
            if found.pvalue < self._p_threshold:
                return
        self._next.append(entry)

    def finished(self, entry: Entry) -> None:
        """Remember it if it is the best."""
        if self._best is None or entry.outcomes.mean() > self._best.outcomes.mean():
            self._best = entry

    def going_on(self, *, last_call: bool) -> list[Entry]:
        """All that were not stopped."""
        chosen, self._next = self._next, []
        return chosen


def sequential_test(n_points: int) -> Race:
    """The race of ``search.race: test`` as a study has it by default."""
    return SequentialTest(indifference=INDIFFERENCE, error_rate=ERROR_RATE, limit=n_points)


def wilcoxon(n_points: int) -> Race:
    """Optuna's pruner at a threshold of the error rate."""
    return WilcoxonRace(ERROR_RATE)


def count_false_stops(surface: Surface, make_race: MakeRace, replays: int) -> FalseStops:
    """Replay a raced grid many times, in the surface's order, each time on other rows."""
    population = np.concatenate([surface.validation, surface.held_out], axis=1)
    truth = population.mean(axis=1)
    operations = surface.operations / surface.operations.sum()
    false, rows, spent = 0, 0.0, 0.0
    for seed in range(replays):
        chosen = np.random.default_rng(seed).choice(population.shape[1], surface.validation.shape[1], replace=False)
        seen, winner = _race(population[:, chosen].astype(float), make_race(len(population)))
        share = seen / surface.validation.shape[1]
        false += bool(np.any(truth[share < 1] > truth[winner] + INDIFFERENCE))
        rows += share.mean() / replays
        spent += float(share @ operations) / replays
    return FalseStops(replays=replays, false=false, rows_share=rows, operations_share=spent)


def _race(outcomes: NDArray[np.float64], race: Race) -> tuple[NDArray[np.int64], int]:
    """Run one race, point after point; the rows that each saw, and the winner."""
    rungs = make_rungs(outcomes.shape[1])
    seen = np.array([_run(entry, outcomes[entry.number], race, rungs) for entry in _entries(len(outcomes))])
    complete = np.flatnonzero(seen == rungs[-1])
    return seen, int(complete[np.argmax(outcomes[complete].mean(axis=1))])


def _entries(count: int) -> Iterator[Entry]:
    return (Entry(number=number, shots=0, untouched=number == 0) for number in range(count))


def _run(entry: Entry, outcomes: NDArray[np.float64], race: Race, rungs: tuple[int, ...]) -> int:
    for rows in rungs[:-1]:
        entry.reach(outcomes[:rows])
        if not entry.untouched:
            race.arrived(entry)
            if not race.going_on(last_call=False):
                return rows
    entry.reach(outcomes)
    race.finished(entry)
    return rungs[-1]
