"""How much more often one of two is right: on the same examples where these are the same, else on each one's own."""

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
from clipsweep.analysis.winners.interval import Z, accuracy_interval
from clipsweep.analysis.winners.scores import mean_example_scores


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Accuracy of the second less that of the first, as a fraction.

    Attributes:
        first: Outcome of each example, averaged over demonstration seeds: shape ``(n_examples,)``.
        second: The same of the other; as many where they are paired.
        paired: Whether both are of the same examples.
        split: Where they were measured.
    """

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    paired: bool
    split: str

    @cached_property
    def estimate(self) -> float:
        """The difference of the accuracies."""
        if self.paired:
            return float((self.second - self.first).mean())
        return float(self.second.mean() - self.first.mean())

    @cached_property
    def standard_error(self) -> float:
        """Of the estimate; 0 where there is one example alone."""
        if self.paired:
            return _standard_error(self.second - self.first)
        return math.hypot(_standard_error(self.first), _standard_error(self.second))

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

        Source:
            Newcombe (1998), "Interval estimation for the difference between independent proportions", Statistics in
            Medicine 17, 873-890, method 10.
        """
        if self.paired:
            return bootstrap([Paired(differences=self.second - self.first)])
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
    return Difference(first=one, second=other, paired=paired, split=second[0].split)


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
