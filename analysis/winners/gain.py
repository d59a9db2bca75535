"""What a point gains over its baseline, measured on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.interval import CONFIDENCE
from clipsweep.analysis.winners.scores import mean_outcomes

RESAMPLES, BATCH = 9999, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Accuracy gained over the baseline on the same examples.

    Attributes:
        estimate: Mean of the paired differences, as a fraction.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
        p_value: Exact sign test over examples, two-sided; with one demonstration seed it is McNemar's.
        split: Where it was measured.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    split: str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows of a point beside those of its baseline: one for each demonstration seed, over the same examples."""

    clipped: tuple[StoredRow, ...]
    baseline: tuple[StoredRow, ...]

    @cached_property
    def gain(self) -> Gain:
        """The gain; measured when it is first asked for, as resampling takes a second."""
        return measure_gain(self.clipped, self.baseline)


def measure_gain(clipped: Sequence[StoredRow], baseline: Sequence[StoredRow]) -> Gain:
    """Paired gain over examples: percentile bootstrap and exact sign test.

    Both give what scipy gives, of which loading alone takes longer than most commands.

    An example counts once however many demonstration seeds there are: its differences are averaged first.

    Args:
        clipped: A row for each demonstration seed, over the same examples.
        baseline: The baseline's row of each seed.
    """
    return gain_of(mean_outcomes(clipped) - mean_outcomes(baseline), clipped[0].split)


def gain_of(differences: NDArray[np.float64], split: str) -> Gain:
    """The gain that ``measure_gain`` tells, of the paired differences of some examples: shape ``(n_examples,)``."""
    low, high = bootstrap(differences)
    return Gain(estimate=float(differences.mean()), low=low, high=high, p_value=sign_test(differences), split=split)


def bootstrap(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the percentile interval of the mean; without a difference there is nothing to resample."""
    if not differences.any():
        return 0.0, 0.0
    count, rng = len(differences), np.random.default_rng(0)
    sizes = [min(BATCH, RESAMPLES - first) for first in range(0, RESAMPLES, BATCH)]
    means = np.concatenate([differences[rng.integers(0, count, (size, count))].mean(axis=-1) for size in sizes])
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [outside, 1 - outside]).tolist()
    return low, high


def sign_test(differences: NDArray[np.float64]) -> float:
    """Chance of as many gained and lost examples, or a more uneven split, if both were as likely."""
    gained, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    count, fewer = gained + lost, min(gained, lost)
    if 2 * fewer == count:
        return 1.0
    ways, as_uneven = 1, 1  # of fewer and fewer examples out of all, and of these together
    for number in range(fewer):
        ways = ways * (count - number) // (number + 1)
        as_uneven += ways
    return float(2 * as_uneven / 2**count)
