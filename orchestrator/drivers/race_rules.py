"""Races: which points see more rows. Pure rules over outcomes on the same rows, in one fixed order.

A rung is a number of validation rows, counted from the first. Points of the same number of shots race each other; the
untouched model runs beside them to the end, and is no rival in halving.
"""

from __future__ import annotations

import heapq
import math
from abc import ABC, abstractmethod
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipsweep.orchestrator.study.names import HALVING
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.spec.ladder import FACTOR, make_rungs

LEAST_ROWS = 100
REFERENCES = 8  # entries that another is compared with at each rung: the best so far
STAKES = 0.95 * 0.5 ** np.arange(8)

Outcomes = NDArray[np.float64]


def halving_share(n_rows: int) -> float:
    """Share of the rows that halving evaluates of many entries: of each rung one in ``FACTOR`` sees the next."""
    rungs = make_rungs(n_rows)
    parts = zip(rungs, (0, *rungs), strict=False)
    return float(sum((rows - before) / FACTOR**number for number, (rows, before) in enumerate(parts)) / n_rows)


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """A point in the race.

    Attributes:
        number: Its place in the driver's order; of equals the first goes on.
        shots: It races those of the same number.
        modules: What it clips, as far as winners are told apart by it.
        untouched: Whether it is the model as it is, which is never stopped.
        rung: The rung that it has reached, or runs for; -1 before the first.
        outcomes: Of the rows seen so far, each in [0, 1]: right or wrong, a mean where there are several seeds.
        scores: Estimated accuracy at each rung reached: what halving ranks it by.
        means: Mean outcome at each rung reached: what the test goes by.
    """

    number: int
    shots: int
    modules: str | None = None
    untouched: bool = False
    rung: int = -1
    outcomes: Outcomes = field(default_factory=lambda: np.zeros(0))
    scores: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)

    def reach(self, outcomes: Outcomes, score: float) -> None:
        """Reach the next rung with the outcomes of all its rows, and an estimate of the accuracy from them."""
        self.rung += 1
        self.outcomes = outcomes
        self.scores.append(score)
        self.means.append(float(outcomes.mean()))


class Race(ABC):
    """Hears of entries that reached a rung, and says which go on to the next."""

    @abstractmethod
    def arrived(self, entry: Entry) -> None:
        """Take an entry that has reached a rung before the last."""

    @abstractmethod
    def finished(self, entry: Entry) -> None:
        """Take an entry that has seen all rows."""

    @abstractmethod
    def going_on(self, *, last_call: bool) -> list[Entry]:
        """Entries that go on to the next rung now; each is named once for each rung.

        Args:
            last_call: Whether nothing runs and no entry is to come, unless one of these goes on.
        """


class Halving(Race):
    """Successive halving: of each rung one entry in ``FACTOR`` goes on, by its score on the rung's rows.

    Where the driver's proposals do not depend on results a rung is decided when all have reached it (Jamieson and
    Talwalkar, 2016, arXiv:1502.07943), and in the end the best of each module without a finisher is run to its end.
    Where they do, a rung is decided anew with each that comes (ASHA: Li et al., 2020, arXiv:1810.05934), and at the
    last call the best of the highest rung goes on, until one has finished.
    """

    def __init__(self, *, waits: bool) -> None:
        """Nobody has arrived; ``waits`` for all of a rung before it is decided."""
        self._waits = waits
        self._been: dict[tuple[int, int], list[Entry]] = defaultdict(list)  # by shots and rung
        self._left: set[tuple[Entry, int]] = set()  # rungs that an entry has gone on from
        self._done: set[tuple[int, str | None]] = set()  # shots and modules of which an entry has finished

    def arrived(self, entry: Entry) -> None:
        """Rank it among those of its rung."""
        self._been[entry.shots, entry.rung].append(entry)

    def finished(self, entry: Entry) -> None:
        """Remember that its shots and modules have a finisher."""
        if not entry.untouched:
            self._done.add((entry.shots, entry.modules))

    def going_on(self, *, last_call: bool) -> list[Entry]:
        """The best of each rung, as many as may go on."""
        chosen = [] if self._waits else [entry for key in self._been for entry in self._ahead(*key)]
        if last_call and not chosen:
            chosen = self._last_chosen()
        self._left |= {(entry, entry.rung) for entry in chosen}
        return chosen

    def _last_chosen(self) -> list[Entry]:
        """Who goes on when all rungs are decided, so that there is a finisher wherever a winner is looked for."""
        finished = {shots for shots, _ in self._done}
        unfinished = {shots for shots, _ in self._been} - finished
        chosen = [entry for shots in unfinished for entry in self._best_waiting(shots)]
        if chosen or not self._waits:
            return chosen
        waiting = [entry for key in self._been for entry in self._waiting(*key)]
        best: dict[tuple[int, str | None], Entry] = {}
        for entry in sorted(waiting, key=lambda entry: (-entry.rung, -entry.scores[-1], entry.number)):
            best.setdefault((entry.shots, entry.modules), entry)
        return [entry for group, entry in best.items() if group not in self._done]

    def _ahead(self, shots: int, rung: int) -> list[Entry]:
        """Of all that have been at a rung the best, but for those that have gone on already."""
        ranked = self._ranked(shots, rung)
        return [entry for entry in ranked[: len(ranked) // FACTOR] if (entry, rung) not in self._left]

    def _best_waiting(self, shots: int) -> list[Entry]:
        """The best that wait at the highest rung where any does."""
        for rung in sorted((rung for each, rung in self._been if each == shots), reverse=True):
            waiting = self._waiting(shots, rung)
            if waiting:
                return waiting[: math.ceil(len(waiting) / FACTOR) if self._waits else 1]
        return []

    def _waiting(self, shots: int, rung: int) -> list[Entry]:
        """Those of a rung that have not gone on, the best first."""
        return [entry for entry in self._ranked(shots, rung) if (entry, rung) not in self._left]

    def _ranked(self, shots: int, rung: int) -> list[Entry]:
        return sorted(self._been[shots, rung], key=lambda entry: (-entry.scores[rung], entry.number))


class SequentialTest(Race):
    """An entry is stopped when a paired test says that it cannot beat one of the best so far by more than a margin.

    The hypothesis "its expected outcome is better by ``indifference`` or more" is bet against: with paired differences
    d in [-1, 1] the wealth ``Π (1 - stake · (d - indifference))`` has an expectation of at most 1 under it, whenever
    it is looked at, and so has the mean over several stakes. By Ville's inequality it exceeds 1/a with probability of
    at most a (Waudby-Smith and Ramdas, 2024, J. R. Stat. Soc. B 86(1), arXiv:2010.09686). Which entries are compared
    depends on their outcomes, the luckiest most of all, so the error rate is shared among all that an entry can be
    compared with: the truly best entry is stopped by one that it beats by more than the margin at most that often.
    """

    def __init__(self, *, indifference: float, error_rate: float, limit: int | None) -> None:
        """Nobody has arrived.

        Args:
            indifference: Margin, as a fraction: 0.005 is half a point.
            error_rate: Chance that the best entry is stopped wrongly.
            limit: Most entries there can be; None if not known, which costs a little of the test's power.
        """
        self._indifference = indifference
        self._error_rate = error_rate
        self._limit = limit
        self._best: dict[tuple[int, int], list[Entry]] = defaultdict(list)  # by shots and rung, the best first
        self._next: list[Entry] = []

    def arrived(self, entry: Entry) -> None:
        """Compare it with the best of those that have seen as many rows."""
        rivals = {
            rival
            for (shots, rung), best in self._best.items()
            if shots == entry.shots and rung >= entry.rung
            for rival in best
        }
        best = heapq.nlargest(REFERENCES, rivals, key=lambda rival: rival.means[-1])
        if not any(self._beaten(entry, rival) for rival in best):
            self._next.append(entry)
        self._place(entry)

    def finished(self, entry: Entry) -> None:
        """Let it be a reference."""
        self._place(entry)

    def going_on(self, *, last_call: bool) -> list[Entry]:  # noqa: ARG002 - each entry is judged by itself
        """All that have arrived and were not stopped."""
        chosen, self._next = self._next, []
        return chosen

    def _place(self, entry: Entry) -> None:
        """Keep it among the best of its rung, if it is."""
        best = self._best[entry.shots, entry.rung]
        best.append(entry)
        best.sort(key=lambda each: -each.means[entry.rung])
        del best[REFERENCES:]

    def _beaten(self, entry: Entry, reference: Entry) -> bool:
        differences = entry.outcomes - reference.outcomes[: len(entry.outcomes)]
        wealth = np.log1p(-np.outer(differences - self._indifference, STAKES)).sum(axis=0)
        evidence = np.logaddexp.reduce(wealth) - math.log(len(STAKES))
        return bool(evidence >= math.log(self._shares(entry, reference) / self._error_rate))

    def _shares(self, entry: Entry, reference: Entry) -> int:
        """Among how many comparisons the error rate is shared; of an entry their reciprocals add up to at most 1."""
        if self._limit is not None:
            return max(1, self._limit - 1)
        later = 1 + max(entry.number, reference.number)
        return later * (later + 1)


def make_race(search: SearchSection, *, waits: bool, limit: int | None) -> Race | None:
    """The race that a study asks for; None where it asks for none.

    Args:
        search: Of the study.
        waits: Whether all of a rung arrive before it must be decided: the driver's proposals do not depend on results.
        limit: Most entries there can be; None if not known.
    """
    if search.race is None:
        return None
    if search.race == HALVING:
        return Halving(waits=waits)
    return SequentialTest(indifference=search.indifference, error_rate=search.error_rate, limit=limit)
