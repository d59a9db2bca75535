"""What a point gains over its baseline, measured on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.store.row import StoredRow
from clipsweep.analysis.winners.scores import mean_outcomes

CONFIDENCE = 0.95
RESAMPLES = 9999


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
    """Paired gain over examples: percentile bootstrap and exact sign test (both from scipy).

    An example counts once however many demonstration seeds there are: its differences are averaged first.

    Args:
        clipped: A row for each demonstration seed, over the same examples.
        baseline: The baseline's row of each seed.
    """
    differences = mean_outcomes(clipped) - mean_outcomes(baseline)
    low, high = _bootstrap(differences)
    return Gain(
        estimate=float(differences.mean()),
        low=low,
        high=high,
        p_value=_sign_test(differences),
        split=clipped[0].split,
    )


def _bootstrap(differences: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of the interval of the mean; without a difference there is nothing to resample."""
    if not differences.any():
        return 0.0, 0.0
    from scipy import stats  # loading it takes longer than most commands

    resampled = stats.bootstrap(
        (differences,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        batch=100,
        rng=np.random.default_rng(0),
    )
    low, high = map(float, resampled.confidence_interval)
    return low, high


def _sign_test(differences: NDArray[np.float64]) -> float:
    """Chance of as many gained and lost examples, or a more uneven split, if both were as likely."""
    gained, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    if not gained + lost:
        return 1.0
    from scipy import stats  # as above

    return float(stats.binomtest(gained, gained + lost).pvalue)
