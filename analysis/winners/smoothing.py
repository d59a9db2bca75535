"""Accuracy told from fewer examples: right and wrong softened by how far each answer was from turning.

Whether an answer is right says little of a clip that turns one answer in ten; how far the gold label was ahead, or
behind, says more. Each margin counts as the chance that it would be above 0 after a little noise, so that a smoothed
accuracy estimates the accuracy with a small bias and far less variance. The noise is in proportion to the spread of the
trial's own margins: a clip that scales all scores up or down changes nothing.

Glick (1978), "Additive estimators for probabilities of correct classification", Pattern Recognition 10, 211-222;
Snapinn and Knoke (1985), "An evaluation of smoothed classification error-rate estimators", Technometrics 27, 199-206.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow
from clipsweep.trials.scores.metrics import NLL

BANDWIDTH = 0.5  # noise, in standard deviations of the margins


def have_margins(rows: Iterable[StoredRow]) -> bool:
    """Whether all rows have margins: smoothed and plain accuracies are not compared with each other."""
    return all(row.has_margins for row in rows)


def accuracy_so_far(row: StoredRow, n_rows: int | None = None, *, smoothed: bool) -> float:
    """Accuracy of a trial on the first examples that it was evaluated on.

    Args:
        row: Stored, with scores.
        n_rows: How many examples, from the first; None for all that it has seen.
        smoothed: Whether to smooth it, for which the row needs margins.

    Returns:
        A fraction; the plain accuracy where no two margins differ.
    """
    if n_rows is None and not (smoothed and _spread(row, n_rows)):
        return row.score("accuracy")
    return float(values_so_far(row, n_rows, smoothed=smoothed).mean())


def values_so_far(row: StoredRow, n_rows: int | None = None, *, smoothed: bool) -> NDArray[np.float64]:
    """What each of the first examples counts: an outcome or, smoothed, a chance; of text as ``example_scores``."""
    margins, spread = row.margins, _spread(row, n_rows)
    if margins is None or not smoothed or not spread:
        return row.example_scores[:n_rows]
    return smooth(margins[:n_rows], BANDWIDTH * spread)


def _spread(row: StoredRow, n_rows: int | None) -> float:
    """Standard deviation of the margins of the first examples; 0 where there are none."""
    margins = row.margins
    return 0.0 if margins is None else float(margins[:n_rows].std())


def goodness_so_far(row: StoredRow, n_rows: int | None = None, *, smoothed: bool) -> float:
    """How good a trial is on the first examples, more being better; arguments as of ``accuracy_so_far``.

    Returns:
        Its accuracy; of text the mean log-likelihood of a token, which has no margins to be smoothed by.
    """
    weights = row.example_weights
    if weights is None:
        return accuracy_so_far(row, n_rows, smoothed=smoothed)
    if n_rows is None:
        return row.goodness(NLL)
    return float(np.average(row.example_scores[:n_rows], weights=weights[:n_rows]))


def gain_so_far(row: StoredRow, untouched: StoredRow, *, smoothed: bool) -> float:
    """What a trial gains over the untouched model, as ``goodness_so_far``, on the examples that it has seen."""
    return goodness_so_far(row, smoothed=smoothed) - goodness_so_far(untouched, row.n_examples, smoothed=smoothed)


def estimated_goodness(row: StoredRow, untouched: StoredRow | None, *, smoothed: bool) -> float:
    """Estimate how good a trial is on all examples of a split, as ``goodness_so_far``, from those that it has seen.

    Some examples are harder than others for any trial: as much as the untouched model does better, or worse, on those
    seen than on all is taken off (a control variate with coefficient 1).

    Args:
        row: Stored, with scores.
        untouched: That of the untouched model on the same prompts; None if there is none.
        smoothed: Whether to smooth it, for which both rows need margins.
    """
    if untouched is None or untouched.n_examples <= row.n_examples:
        return goodness_so_far(row, smoothed=smoothed)
    return goodness_so_far(untouched, smoothed=smoothed) + gain_so_far(row, untouched, smoothed=smoothed)


def smooth(margins: NDArray[np.float64], noise: float) -> NDArray[np.float64]:
    """Chance that each margin is above 0 after normal noise of this standard deviation has been added."""
    from scipy.special import ndtr  # loading it takes longer than most commands

    return np.asarray(ndtr(margins / noise), dtype=np.float64)
