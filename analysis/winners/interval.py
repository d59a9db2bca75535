"""How well an accuracy, or a mean of other values, is known from so many examples."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
Z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)  # standard errors that the interval reaches to each side


def accuracy_interval(accuracy: float, n_examples: int) -> tuple[float, float]:
    """Ends of the 95 % interval of an accuracy, also where all examples are right, or none (Wilson, 1927).

    Args:
        accuracy: Share of examples that were right.
        n_examples: How many there were; 1 or more.

    Source:
        Wilson (1927), "Probable inference, the law of succession, and statistical inference", JASA 22, 209-212.
    """
    weight = Z * Z / n_examples
    middle = accuracy + weight / 2
    half = Z * math.sqrt(accuracy * (1 - accuracy) / n_examples + weight / (4 * n_examples))
    return max(0.0, (middle - half) / (1 + weight)), min(1.0, (middle + half) / (1 + weight))


def standard_error(values: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> float:
    """Standard error of a mean over examples; 0 where there is one alone.

    With weights the mean is a ratio of two sums, both over the examples that were drawn (Cochran, 1977, "Sampling
    Techniques", 6.4).

    Args:
        values: Of each example.
        weights: How much each weighs in the mean; None where all weigh the same.
    """
    count = len(values)
    if count < 2:
        return 0.0
    if weights is None:
        return float(values.std(ddof=1)) / math.sqrt(count)
    beside = weights * (values - np.average(values, weights=weights))
    return math.sqrt(count / (count - 1) * float((beside**2).sum())) / float(weights.sum())
