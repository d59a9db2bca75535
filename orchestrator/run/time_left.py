"""How long the rest of a run will take: told from the trials that have ended, or not told while it would be a guess."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from clipsweep.orchestrator.plan.amount import Amount

LEAST_TRIALS = 8  # that have ended after the first, which pays for what the others share
LOOK_BACK = 64  # arrivals of results
AGREEMENT = 1.5


@dataclass(frozen=True, slots=True)
class _Moment:
    """How much had ended at some time, in seconds of any clock."""

    time: float
    ended: Amount


class TimeLeft:
    """Tells the time left from the last arrivals of results.

    A trial takes some time for its work and some for being a trial. Which of the two counts is not known at first: a
    grid begins with trials that cost little. While the two would tell very different times, none is told.
    """

    def __init__(self) -> None:
        """Nothing has ended."""
        self._moments: deque[_Moment] = deque(maxlen=LOOK_BACK)

    def note(self, now: float, ended: Amount) -> None:
        """Hear how much has ended by now, since the beginning."""
        self._moments.append(_Moment(now, ended))

    def seconds(self, left: Amount) -> float | None:
        """Time that what is left will take; None while that cannot be told."""
        if not self._moments or self._moments[-1].ended.trials - self._moments[0].ended.trials < LEAST_TRIALS:
            return None
        first, middle, last = self._moments[0], self._moments[len(self._moments) // 2], self._moments[-1]
        elapsed, ended = last.time - first.time, last.ended - first.ended
        by_trials = elapsed * left.trials / ended.trials
        by_work = elapsed * left.work / ended.work
        low, high = sorted((by_trials, by_work))
        if high <= AGREEMENT * low:
            return math.sqrt(low * high)
        return _solve(first, middle, last, left)


def _solve(first: _Moment, middle: _Moment, last: _Moment, left: Amount) -> float | None:
    """The time left if each half of what was seen took so long for a trial and so long for its work; None if not."""
    earlier, later = middle.ended - first.ended, last.ended - middle.ended
    determinant = earlier.trials * later.work - later.trials * earlier.work
    if abs(determinant) < 0.1 * earlier.trials * later.work:  # all trials cost much the same
        return None
    before, after = middle.time - first.time, last.time - middle.time
    for_a_trial = (before * later.work - after * earlier.work) / determinant
    for_work = (earlier.trials * after - later.trials * before) / determinant
    if min(for_a_trial, for_work) < 0:
        return None
    return for_a_trial * left.trials + for_work * left.work
