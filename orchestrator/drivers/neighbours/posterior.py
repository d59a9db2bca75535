"""What the readings say of every point, seen or not: a Gaussian process over effects, and one over their spreads.

The kernel and the size of effects are drawn in proportion to their evidence, anew whenever rows have come in, so that
none is trusted more than the data do (Rasmussen and Williams, 2006, chapter 5, for the evidence; drawing instead of
taking the best is Thompson's, 1933). What a screen predicts is the mean of the process before any data, as far as it
is trusted, which is part of a hypothesis too: a screen that misleads is found out. The spread of a point that was
not evaluated follows the depth of its clips by a power law, and its neighbours.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from clipsweep.orchestrator.drivers.neighbours.likeness import SHAPES, Likeness, Shape
from clipsweep.orchestrator.drivers.neighbours.readings import Readings

Numbers = NDArray[np.float64]
SIZES = (0.05, 0.1, 0.2, 0.4, 0.8)  # of effects, in spreads of the differences between rows
TRUSTS = (0.0, 0.5, 1.0)  # share of a predicted gain that is expected
USUAL_SIZE, SIZE_VARIANCE = 0.2, math.log(2.0) ** 2  # what sizes are expected before any data; of the logarithm
SPREAD_VARIANCES = (0.03, 0.1, 0.3, 1.0)  # of the logarithm of a spread, around its power law
LAW, LAW_VARIANCE = np.array([-3.0, 2.0]), np.diag([4.0, 1.0])  # of that law, before any data: level and exponent
LITTLE = 0.02  # of a variance: what neighbours never tell
JITTER = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Beliefs:
    """Of each point, shape ``(points,)``.

    Attributes:
        means: Expected gain in accuracy over the untouched model, a fraction.
        deviations: Of the effect, in units of ``spreads``.
        spreads: Of the differences between rows; of points not seen the largest that is likely.
    """

    means: Numbers
    deviations: Numbers
    spreads: Numbers


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A kernel, a size of effects, and how far predictions are trusted."""

    shape: Shape
    size: float
    trust: float


class Posterior:
    """Learns which hypotheses hold, and says what is believed of every point under one of them."""

    def __init__(self, rng: random.Random) -> None:
        """All hypotheses are as likely, until ``learn``."""
        self._rng = rng
        self._hypotheses = [Hypothesis(*each) for each in product(SHAPES, SIZES, TRUSTS)]
        self._chances = [1.0] * len(self._hypotheses)

    def learn(self, likeness: Likeness, predicted: Numbers, seen: NDArray[np.intp], readings: Readings) -> None:
        """Weigh the hypotheses by what they say of the readings.

        Args:
            likeness: Of all points.
            predicted: Gain in accuracy of each point by a screen; 0 where there is none.
            seen: Places of those that the readings are of.
            readings: Of them, in this order.
        """
        places = seen[readings.points]
        rooted = _root(readings.errors + JITTER * np.eye(len(readings.values)))
        beyond = [readings.values - trust * _foreseen(predicted, seen, readings) for trust in TRUSTS]
        white = _solve(rooted, np.column_stack([*beyond, np.eye(len(readings.values))[:, : len(places)]]))
        values, whitening = white[:, : len(TRUSTS)], white[:, len(TRUSTS) :]
        evidence: list[float] = []
        for shape in SHAPES:
            alike = likeness.matrix(shape)[np.ix_(places, places)]
            variances, directions = np.linalg.eigh(whitening @ alike @ whitening.T)
            squares, variances = (directions.T @ values) ** 2, np.maximum(variances, 0)
            for size, number in product(SIZES, range(len(TRUSTS))):
                expected = 1 + size**2 * variances
                fit = float((squares[:, number] / expected + np.log(expected)).sum())
                evidence.append(-0.5 * (fit + math.log(size / USUAL_SIZE) ** 2 / SIZE_VARIANCE))
        self._chances = [math.exp(each - max(evidence)) for each in evidence]

    def believe(self, likeness: Likeness, predicted: Numbers, seen: NDArray[np.intp], readings: Readings) -> Beliefs:
        """What follows from the readings for every point; arguments as in ``learn``."""
        [hypothesis] = self._rng.choices(self._hypotheses, self._chances)
        alike = likeness.matrix(hypothesis.shape)
        places, count = seen[readings.points], len(readings.values)
        covariance = readings.errors + JITTER * np.eye(count)
        covariance[: len(places), : len(places)] += hypothesis.size**2 * alike[np.ix_(places, places)]
        across = np.zeros((count, len(alike)))
        across[: len(places)] = hypothesis.size**2 * alike[places]
        rooted = _root(covariance)
        beyond = readings.values - hypothesis.trust * _foreseen(predicted, seen, readings)
        told = _solve(rooted, np.column_stack([across, beyond]))
        across, values = told[:, :-1], told[:, -1]
        effects = across.T @ values
        variances = np.maximum(hypothesis.size**2 - (across**2).sum(axis=0), 0)
        spreads, doubts = _spreads(alike, likeness.log_depths, seen, readings.spreads)
        return Beliefs(
            means=effects * spreads + hypothesis.trust * predicted,
            deviations=np.sqrt(variances),
            spreads=np.minimum(1.0, spreads * np.exp(doubts)),
        )


def _foreseen(predicted: Numbers, seen: NDArray[np.intp], readings: Readings) -> Numbers:
    """What predictions say of each reading: effects of points, and nothing of controls."""
    effects = np.zeros(len(readings.values))
    effects[: len(readings.points)] = (predicted[seen] / readings.spreads)[readings.points]
    return effects


def _spreads(alike: Numbers, log_depths: Numbers, seen: NDArray[np.intp], spreads: Numbers) -> tuple[Numbers, Numbers]:
    """Spread of each point's differences, and the variance of its logarithm, which is 0 where it was seen."""
    law = np.column_stack([np.ones(len(alike)), log_depths])
    by_law = law @ LAW_VARIANCE @ law[seen].T
    unexplained = np.log(spreads) - law[seen] @ LAW
    among = alike[np.ix_(seen, seen)] + LITTLE * np.eye(len(seen))
    tried = [(variance, _root(variance * among + by_law[seen])) for variance in SPREAD_VARIANCES]

    def misfit(rooted: Numbers) -> float:
        return float(0.5 * (_solve(rooted, unexplained) ** 2).sum() + np.log(np.diag(rooted)).sum())

    variance, rooted = min(tried, key=lambda each: misfit(each[1]))
    across = _solve(rooted, (variance * alike[:, seen] + by_law).T)
    expected = np.exp(np.minimum(0.0, law @ LAW + across.T @ _solve(rooted, unexplained)))
    prior = variance * (1 + LITTLE) + np.einsum("ij,jk,ik->i", law, LAW_VARIANCE, law)
    doubts = np.maximum(prior - (across**2).sum(axis=0), 0)
    expected[seen], doubts[seen] = spreads, 0.0
    return expected, doubts


def _solve(rooted: Numbers, values: Numbers) -> Numbers:
    """Solve with the lower triangle of a Cholesky factor."""
    from scipy.linalg import solve_triangular  # loading it takes longer than most commands

    return np.asarray(solve_triangular(rooted, values, lower=True, check_finite=False))


def _root(covariance: Numbers) -> Numbers:
    """Its Cholesky factor, lower triangle."""
    return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
