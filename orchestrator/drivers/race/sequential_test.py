"""The sequential test: an entry is stopped when it is shown that it cannot win, with a bound on the error."""

from __future__ import annotations

import heapq
import math
from collections import defaultdict

import numpy as np

from clipsweep.orchestrator.drivers.race.entry import Entry, Race

REFERENCES = 8  # entries that another is compared with at each rung: the best so far
STAKES = 0.95 * 0.5 ** np.arange(8)


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
