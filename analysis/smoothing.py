"""Accuracy told from fewer examples: right and wrong softened by how far each answer was from turning.

Whether an answer is right says little of a clip that turns one answer in ten; how far the gold label was ahead, or
behind, says more. Each margin counts as the chance that it would be above 0 after a little noise, so that a smoothed
accuracy estimates the accuracy with a small bias and far less variance. The noise is in proportion to the spread of the
trial's own margins: a clip that scales all scores up or down changes nothing.

Glick (1978), "Additive estimators for probabilities of correct classification", Pattern Recognition 10, 211-222;
Snapinn and Knoke (1985), "An evaluation of smoothed classification error-rate estimators", Technometrics 27, 199-206.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from analysis.table import Row, unpack_margins, unpack_outcomes

BANDWIDTH = 0.5  # noise, in standard deviations of the margins


def smoothed_accuracy(row: Row, n_rows: int | None = None) -> float:
    """Estimate the accuracy of a trial from the first examples that it was evaluated on.

    Args:
        row: Stored, with scores.
        n_rows: How many examples, from the first; None for all that it has seen.

    Returns:
        A fraction; the plain accuracy where the row has no margins, or no two that differ.
    """
    margins = unpack_margins(row)
    if margins is None or not (spread := float(margins[:n_rows].std())):
        return float(row["accuracy"] if n_rows is None else unpack_outcomes(row)[:n_rows].mean())
    return float(smooth(margins[:n_rows], BANDWIDTH * spread).mean())


def estimated_accuracy(row: Row, untouched: Row | None) -> float:
    """Estimate the smoothed accuracy of a trial on all examples of a split, from those that it has seen.

    Some examples are harder than others for any trial: as much as the untouched model does better, or worse, on those
    seen than on all is taken off (a control variate with coefficient 1).

    Args:
        row: Stored, with scores.
        untouched: That of the untouched model on the same prompts; None if there is none.
    """
    if untouched is None or untouched["n_examples"] <= row["n_examples"]:
        return smoothed_accuracy(row)
    return smoothed_accuracy(untouched) + smoothed_gain(row, untouched)


def smoothed_gain(row: Row, untouched: Row) -> float:
    """What a trial gains in smoothed accuracy over the untouched model, on the examples that it has seen."""
    return smoothed_accuracy(row) - smoothed_accuracy(untouched, row["n_examples"])


def smooth(margins: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Chance that each margin is above 0 after normal noise of this standard deviation has been added."""
    return np.asarray(ndtr(margins / noise), dtype=np.float64)
