"""What a point gains over its baseline, measured on the same examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.interval import CONFIDENCE
from clipsweep.analysis.winners.point import ScoredTask
from clipsweep.analysis.winners.scores import by_task, mean_example_scores
from clipsweep.trials.scores.metrics import ACCURACY, NLL

RESAMPLES, BATCH = 9999, 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What is gained over the baseline on the same examples.

    Attributes:
        estimate: Mean of the paired differences, better being above 0: of right and wrong as a fraction, of text in
            nats for each token.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
        p_value: Exact sign test over examples, two-sided; with one demonstration seed it is McNemar's.
        split: Where it was measured.
        metric: What it was measured in: ``accuracy``, or ``nll`` of text.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    split: str
    metric: str = ACCURACY


@dataclass(frozen=True, slots=True, kw_only=True)
class Paired:
    """How two trials differ, example by example, on the rows of one task.

    Attributes:
        differences: Of what each example counts, better being above 0: shape ``(n_examples,)``.
        weights: How much each example weighs in the mean; None where all weigh the same.
        share: Of this task in the score of several; the shares of one comparison sum to 1.
    """

    differences: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None
    share: float = 1.0

    @property
    def mean(self) -> float:
        """The mean difference."""
        if self.weights is None:
            return float(self.differences.mean())
        return float(np.average(self.differences, weights=self.weights))


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Rows of a point beside those of its baseline: one for each demonstration seed, over the same examples.

    Attributes:
        clipped: Rows of the point; of several tasks those of the first, then those of the next.
        baseline: Those of its baseline.
        tasks: As ``Point.tasks``.
    """

    clipped: tuple[StoredRow, ...]
    baseline: tuple[StoredRow, ...]
    tasks: tuple[ScoredTask, ...] = ()

    @cached_property
    def gain(self) -> Gain:
        """The gain; measured when it is first asked for, as resampling takes a second."""
        return measure_gain(self.clipped, self.baseline, tasks=self.tasks)


def measure_gain(
    clipped: Sequence[StoredRow], baseline: Sequence[StoredRow], *, tasks: Sequence[ScoredTask] = ()
) -> Gain:
    """Paired gain over examples: percentile bootstrap and exact sign test.

    Both give what scipy gives, of which loading alone takes longer than most commands.

    An example counts once however many demonstration seeds there are: its differences are averaged first.

    Args:
        clipped: A row for each demonstration seed, over the same examples.
        baseline: The baseline's row of each seed.
        tasks: As ``Point.tasks``, of several, whose rows follow each other; those of share 0 do not count.
    """
    shares = [task.share for task in tasks] or [1.0]
    parts = [
        (share, one, other)
        for share, one, other in zip(shares, by_task(clipped, tasks), by_task(baseline, tasks), strict=True)
        if share
    ]
    metric = NLL if parts[0][1][0].is_text else ACCURACY
    return gain_of([_pair(*part) for part in parts], clipped[0].split, metric)


def _pair(share: float, clipped: Sequence[StoredRow], baseline: Sequence[StoredRow]) -> Paired:
    """The rows of one task beside those of its baseline."""
    differences = mean_example_scores(clipped) - mean_example_scores(baseline)
    return Paired(differences=differences, weights=clipped[0].example_weights, share=share)


def gain_of(paired: Sequence[Paired], split: str, metric: str = ACCURACY) -> Gain:
    """The gain that ``measure_gain`` tells, of the paired differences of one task, or of several in one score."""
    low, high = bootstrap(paired)
    differences = np.concatenate([each.differences for each in paired if each.share > 0])
    estimate = sum(each.share * each.mean for each in paired)
    return Gain(estimate=estimate, low=low, high=high, p_value=sign_test(differences), split=split, metric=metric)


def bootstrap(paired: Sequence[Paired]) -> tuple[float, float]:
    """Ends of the percentile interval of the mean; without a difference there is nothing to resample.

    The examples of each task are resampled among themselves.
    """
    if not any(each.differences.any() for each in paired):
        return 0.0, 0.0
    rng = np.random.default_rng(0)
    sizes = [min(BATCH, RESAMPLES - first) for first in range(0, RESAMPLES, BATCH)]
    means = np.concatenate([_resampled(paired, size, rng) for size in sizes])
    outside = (1 - CONFIDENCE) / 2
    low, high = np.quantile(means, [outside, 1 - outside]).tolist()
    return low, high


def _resampled(paired: Sequence[Paired], size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Means of so many resamples of all tasks: shape ``(size,)``."""
    return np.asarray(np.sum([each.share * _resampled_of_one(each, size, rng) for each in paired], axis=0))


def _resampled_of_one(paired: Paired, size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    count = len(paired.differences)
    drawn = rng.integers(0, count, (size, count))
    if paired.weights is None:
        return np.asarray(paired.differences[drawn].mean(axis=-1))
    weights = paired.weights[drawn]
    return np.asarray((paired.differences[drawn] * weights).sum(axis=-1) / weights.sum(axis=-1))


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
