"""How long the rest of a run will take: told from the trials that have ended, or not told while it would be a guess."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from clipsweep.orchestrator.plan.amount import Amount

LEAST_TRIALS = 8  # that have ended after the first, which pays for what the others share
LOOK_BACK = 96  # arrivals of results
BLOCKS = 8  # that the arrivals are put into: single ones of several replicas come in clusters
PRIOR, PRIOR_WEIGHT = 0.1, 0.02  # share of the time that counts by trials and not by their work, where all cost alike


@dataclass(frozen=True, slots=True)
class _Moment:
    """How much had ended at some time, in seconds of any clock."""

    time: float
    ended: Amount


class TimeLeft:
    """Tells the time left from the last arrivals of results.

    A trial takes some time for its work and some for being a trial. How much of each is fitted to what was seen; while
    all trials cost much the same it is mostly taken for work. Trials that cost little, as those that a grid begins
    with, say little of how long work takes: there the whole run is looked at, whose first trials are whole passes.
    """

    def __init__(self) -> None:
        """Nothing has ended."""
        self._first: _Moment | None = None
        self._moments: deque[_Moment] = deque(maxlen=LOOK_BACK)

    def start(self, now: float) -> None:
        """Replicas are up."""
        self._first = _Moment(now, Amount())
        self._moments.clear()

    def note(self, now: float, ended: Amount) -> None:
        """Hear how much has ended by now, since the beginning."""
        self._moments.append(_Moment(now, ended))

    def seconds(self, left: Amount) -> float | None:
        """Time that what is left will take; None while that cannot be told."""
        if not self._moments or self._moments[-1].ended.trials - self._moments[0].ended.trials < LEAST_TRIALS:
            return None
        first, last = self._moments[0], self._moments[-1]
        elapsed, ended = last.time - first.time, last.ended - first.ended
        by_trials = elapsed * left.trials / ended.trials
        by_work = elapsed * left.work / ended.work
        if self._first is not None and ended.work * left.trials < left.work * ended.trials:
            since_start = (last.time - self._first.time) * left.work / last.ended.work
            by_work = min(by_work, since_start)
        share = self._share_of_trials()
        return share * by_trials + (1 - share) * by_work

    def _share_of_trials(self) -> float:
        """Share of the time that goes by the number of trials: the one that fits the blocks best, from 0 to 1."""
        blocks = list(self._blocks())
        seconds = sum(time for time, _ in blocks)
        trials, work = sum(ended.trials for _, ended in blocks), sum(ended.work for _, ended in blocks)
        fit, weight = PRIOR * PRIOR_WEIGHT, PRIOR_WEIGHT
        for time, ended in blocks:
            by_trials, by_work = ended.trials / trials, ended.work / work
            fit += (time / seconds - by_work) * (by_trials - by_work)
            weight += (by_trials - by_work) ** 2
        return min(1.0, max(0.0, fit / weight))

    def _blocks(self) -> Iterator[tuple[float, Amount]]:
        """What was seen in parts of as many arrivals: how long each took, and what ended in it."""
        last = len(self._moments) - 1
        cuts = sorted({round(number * last / BLOCKS) for number in range(BLOCKS + 1)})
        for before, after in pairwise(self._moments[cut] for cut in cuts):
            yield after.time - before.time, after.ended - before.ended
