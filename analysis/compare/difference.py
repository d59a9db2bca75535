"""How much better one of two is: on the same examples where these are the same, else on each one's own."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.gain import Paired, bootstrap, sign_test
from clipsweep.analysis.winners.interval import Z, accuracy_interval, standard_error
from clipsweep.analysis.winners.scores import mean_example_scores
from clipsweep.trials.scores.metrics import ACCURACY, NLL


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Accuracy of the second less that of the first, as a fraction; of text by how many nats a token is likelier.

    Attributes:
        first: Outcome of each example, averaged over demonstration seeds, or of a window of text the mean
            log-likelihood of its tokens: shape ``(n_examples,)``.
        second: The same of the other; as many where they are paired.
        paired: Whether both are of the same examples.
        split: Where they were measured.
        weights: How much each example of the two weighs: of text its tokens; None where all weigh the same.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    paired: bool
    split: str
    weights: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    @property
    def metric(self) -> str:
        """What it is measured in."""
        return ACCURACY if self.weights is None else NLL

    @cached_property
    def estimate(self) -> float:
        """The difference of the means, the second being better above 0."""
        one, other = self.weights or (None, None)
        if self.paired:
            return float(np.average(self.second - self.first, weights=other))
        return float(np.average(self.second, weights=other) - np.average(self.first, weights=one))

    @cached_property
    def standard_error(self) -> float:
        """Of the estimate; 0 where there is one example alone."""
        one, other = self.weights or (None, None)
        if self.paired:
            return standard_error(self.second - self.first, other)
        return math.hypot(standard_error(self.first, one), standard_error(self.second, other))

    @property
    def weight(self) -> float:
        """How many standard errors it is from zero; what is sorted by."""
        if self.estimate == 0:
            return 0.0
        return abs(self.estimate) / self.standard_error if self.standard_error else math.inf

    @property
    def within_noise(self) -> bool:
        """Whether it may be chance: it is no more than 1.96 of its standard errors."""
        return self.weight <= Z

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval: paired by bootstrap over examples, which takes time; else by Newcombe's rule.

        Of texts that are not the same it is 1.96 standard errors to each side.

        Source:
            Newcombe (1998), "Interval estimation for the difference between independent proportions", Statistics in
            Medicine 17, 873-890, method 10.
        """
        if self.paired:
            weights = None if self.weights is None else self.weights[1]
            return bootstrap([Paired(differences=self.second - self.first, weights=weights)])
        if self.weights is not None:
            return self.estimate - Z * self.standard_error, self.estimate + Z * self.standard_error
        one, other = float(self.first.mean()), float(self.second.mean())
        one_low, one_high = accuracy_interval(one, len(self.first))
        low, high = accuracy_interval(other, len(self.second))
        return (
            self.estimate - math.hypot(other - low, one_high - one),
            self.estimate + math.hypot(high - other, one - one_low),
        )

    @cached_property
    def p_value(self) -> float | None:
        """Exact sign test over examples, two-sided; None where they are not paired."""
        return sign_test(self.second - self.first) if self.paired else None

    def document(self, *, with_interval: bool) -> dict[str, Any]:
        """As JSON has it; ``low`` and ``high`` are null where the interval was not asked for."""
        low, high = self.interval if with_interval else (None, None)
        return {
            "estimate": self.estimate,
            "standard_error": self.standard_error,
            "low": low,
            "high": high,
            "p_value": self.p_value,
            "paired": self.paired,
            "split": self.split,
            "n_examples": [len(self.first), len(self.second)],
        }


def measure_difference(first: Sequence[StoredRow], second: Sequence[StoredRow], *, same_rows: bool) -> Difference:
    """Compare two points.

    Args:
        first: Its row of each demonstration seed, all complete and of one split.
        second: The same of the other.
        same_rows: Whether both were evaluated on the same rows of the task, in the same order.
    """
    one, other = mean_example_scores(first), mean_example_scores(second)
    paired = same_rows and first[0].split == second[0].split and len(one) == len(other)
    weighed = first[0].example_weights, second[0].example_weights
    weights = None if weighed[0] is None or weighed[1] is None else (weighed[0], weighed[1])
    return Difference(first=one, second=other, paired=paired, split=second[0].split, weights=weights)
