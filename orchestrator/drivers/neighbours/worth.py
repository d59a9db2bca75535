"""What it is worth to see more rows of a point: the knowledge gradient.

The worth of a look is by how much the best expected gain is likely to rise through it (Frazier, Powell and Dayanik,
2008, SIAM J. Control Optim. 47, 2410). A first look at few rows may be worth nothing by itself, so each point is taken
at the number of rows where worth per cost is highest (Frazier and Powell, 2010, Decision Analysis 7, 378).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsweep.orchestrator.drivers.neighbours.posterior import Beliefs

Numbers = NDArray[np.float64]
NOTHING, FAR = 1e-300, 37.0  # worth, and standard deviations, beyond which there are no numbers


def worth_per_cost(beliefs: Beliefs, seen: Numbers, costs: Numbers, rungs: Sequence[int]) -> Numbers:
    """The logarithm of the worth of the next look at each point, per cost; minus infinity where all rows are seen.

    Args:
        beliefs: Of the points.
        seen: Rows of each that have been seen.
        costs: Of one row of each.
        rungs: Rows of each rung, ascending to all.
    """
    short_by = _short_by(beliefs.means)
    variances, known = beliefs.deviations**2, _precision(seen, rungs[-1])
    best = np.full(len(seen), -np.inf)
    for rows in rungs:
        more = _precision(np.full(len(seen), float(rows)), rungs[-1]) - known
        ahead = rows > seen
        with np.errstate(divide="ignore", invalid="ignore"):
            moves = beliefs.spreads * variances / np.sqrt(variances + 1 / np.where(ahead, more, 1.0))
        worth = np.log(np.maximum(_expected_excess(moves, short_by), NOTHING))
        worth -= np.log(costs * np.maximum(rows - seen, 1))
        best = np.where(ahead & (worth > best), worth, best)
    return best


def left_to_gain(beliefs: Beliefs, seen: Numbers, n_rows: int) -> float:
    """At most so much more, in accuracy, is expected from seeing all rows of the points that have not."""
    excess = _expected_excess(beliefs.spreads * beliefs.deviations, _short_by(beliefs.means))
    return float(excess[seen < n_rows].sum())


def _short_by(means: Numbers) -> Numbers:
    """How far each is from changing which is best, the untouched model at 0 among them."""
    second, first = np.sort(np.append(means, [0.0, 0.0]))[-2:]
    return np.asarray(np.abs(means - np.where(means == first, second, first)))


def _precision(rows: Numbers, total: int) -> Numbers:
    """Of a mean over the first rows, for the mean over all, in units of the differences' own."""
    rows = np.minimum(rows, total - 1e-6)
    return rows / (1 - rows / total)


def _expected_excess(deviations: Numbers, short_by: Numbers) -> Numbers:
    """Expected part above ``short_by`` of a normal variable of mean 0."""
    from scipy.special import ndtr  # loading it takes longer than most commands

    scaled = np.maximum(-short_by / np.maximum(deviations, NOTHING), -FAR)
    density = np.exp(-0.5 * scaled**2) / np.sqrt(2 * np.pi)
    return np.asarray(np.maximum(deviations * (density + scaled * ndtr(scaled)), 0))
