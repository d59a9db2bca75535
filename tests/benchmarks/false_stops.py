"""How often a race stops a point that truly beats the winner by more than the indifference.

Each replay draws validation rows of its own, and what is true of a point is its expectation over all such draws. Beside
it: how often a stopped point has more than the winner on all of the replay's own rows, which a full grid sees.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from clipsweep.orchestrator.drivers.race.entry import Entry, Race
from clipsweep.orchestrator.drivers.race.sequential_test import SequentialTest
from clipsweep.trials.spec.ladder import make_rungs
from tests.benchmarks.replay import visiting_order
from tests.benchmarks.surfaces import Surface

INDIFFERENCE, ERROR_RATE = 0.005, 0.05
MADE_UP_POINTS, MADE_UP_ROWS = 200, 1000
RIGHT, BETTER, CHANGED = 0.75, 0.015, 0.4  # chances: to be right, how much more, and that a clip changes the answer
MakeRace = Callable[[tuple[int, ...]], Race]


@dataclass(frozen=True, slots=True, kw_only=True)
class FalseStops:
    """What a race did over all replays.

    Attributes:
        replays: How many.
        false: Replays in which a stopped point beats the winner by more than the indifference.
        lost: Replays in which one does on all of the replay's rows.
        rows_share: Mean share of the whole grid's rows.
        operations_share: The same of operations.
    """

    replays: int
    false: int
    lost: int
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


@dataclass(frozen=True, kw_only=True)
class Population:
    """What replays draw their rows from.

    Attributes:
        truth: Expected outcome of each point, the untouched model first.
        operations: Of one row, for each point.
        draw: Outcomes of one replay's validation rows, shape ``(points, rows)``.
    """

    truth: NDArray[np.float64]
    operations: NDArray[np.float64]
    draw: Callable[[np.random.Generator], NDArray[np.bool_]]


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


def sequential_test(rungs: tuple[int, ...]) -> Race:
    """The race of ``search.race: test`` over a grid as a study has it by default."""
    return SequentialTest(indifference=INDIFFERENCE, error_rate=ERROR_RATE, rungs=rungs, waits=True)


def wilcoxon(rungs: tuple[int, ...]) -> Race:
    """Optuna's pruner at a threshold of the error rate."""
    return WilcoxonRace(ERROR_RATE)


def of_surface(surface: Surface) -> Population:
    """A surface's rows, validation and held-out together, as the population that each replay draws from."""
    order = visiting_order(surface)
    rows = np.concatenate([surface.validation, surface.held_out], axis=1)[order]
    count = surface.validation.shape[1]

    def draw(rng: np.random.Generator) -> NDArray[np.bool_]:
        return rows[:, rng.choice(rows.shape[1], count, replace=False)]

    return Population(truth=rows.mean(axis=1), operations=surface.operations[order], draw=draw)


def made_up() -> Population:
    """Many points that change many answers and gain nothing, and one that gains: what the luck of others can hide."""
    chances = np.full(MADE_UP_POINTS, RIGHT)
    chances[MADE_UP_POINTS // 2] += BETTER

    def draw(rng: np.random.Generator) -> NDArray[np.bool_]:
        untouched = rng.random(MADE_UP_ROWS) < RIGHT
        changed = rng.random((MADE_UP_POINTS, MADE_UP_ROWS)) < CHANGED
        gained = (chances - RIGHT)[:, None] / CHANGED
        return np.where(changed, rng.random(changed.shape) < RIGHT + gained, untouched)

    return Population(truth=chances, operations=np.ones(MADE_UP_POINTS), draw=draw)


def count_false_stops(population: Population, make_race: MakeRace, replays: int) -> FalseStops:
    """Replay a raced grid many times, in the population's order, each time on other rows."""
    truth, operations = population.truth, population.operations / population.operations.sum()
    false, lost, rows, spent = 0, 0, 0.0, 0.0
    for seed in range(replays):
        outcomes = population.draw(np.random.default_rng(seed)).astype(float)
        seen, winner = _race(outcomes, make_race)
        share, scores = seen / outcomes.shape[1], outcomes.mean(axis=1)
        false += bool(np.any(truth[share < 1] > truth[winner] + INDIFFERENCE))
        lost += bool(np.any(scores[share < 1] > scores[winner] + INDIFFERENCE))
        rows += share.mean() / replays
        spent += float(share @ operations) / replays
    return FalseStops(replays=replays, false=false, lost=lost, rows_share=rows, operations_share=spent)


def _race(outcomes: NDArray[np.float64], make_race: MakeRace) -> tuple[NDArray[np.int64], int]:
    """Run one race as the racing driver does; the rows that each point saw, and the winner."""
    rungs = make_rungs(outcomes.shape[1])
    race = make_race(rungs)
    entries = going_on = [Entry(number=number, shots=0, untouched=number == 0) for number in range(len(outcomes))]
    while going_on:
        for entry in going_on:
            _run(entry, outcomes[entry.number], race, rungs)
        going_on = race.going_on(last_call=True)
    seen = np.array([len(entry.outcomes) for entry in entries])
    complete = np.flatnonzero(seen == rungs[-1])
    return seen, int(complete[np.argmax(outcomes[complete].mean(axis=1))])


def _run(entry: Entry, outcomes: NDArray[np.float64], race: Race, rungs: tuple[int, ...]) -> None:
    """Take an entry to its next rung, and on for as long as it goes on at once."""
    for rows in rungs[entry.rung + 1 : -1]:
        entry.reach(outcomes[:rows], float(outcomes[:rows].mean()))
        race.arrived(entry)
        if entry not in race.going_on(last_call=False) and not entry.untouched:
            return
    entry.reach(outcomes, float(outcomes.mean()))
    race.finished(entry)
