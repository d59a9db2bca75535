"""From label scores to what a row stores: outcomes and metrics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trials.values import Scores

CALIBRATION_BINS = 10


def score_labels(
    log_likelihoods: NDArray[np.float32], gold: Sequence[int], *, strict: bool = False
) -> tuple[tuple[bool, ...], Scores]:
    """Judge predictions.

    Args:
        log_likelihoods: Shape ``(examples, labels)``, natural log, finite.
        gold: Index of the right label of each example.
        strict: Whether the right label must score higher than every other; else an exact tie goes to the first label.

    Returns:
        Right or wrong for each example, and the metrics.
    """
    answers = np.asarray(gold)
    rows = np.arange(len(answers))
    predicted = log_likelihoods.argmax(axis=1)
    if strict:
        others = log_likelihoods.copy()
        others[rows, answers] = -np.inf
        predicted = np.where(log_likelihoods[rows, answers] > others.max(axis=1), answers, others.argmax(axis=1))
    right = predicted == answers
    logprobs = _renormalise(log_likelihoods)
    scores = Scores(
        accuracy=float(right.mean()),
        macro_f1=_macro_f1(predicted, answers, log_likelihoods.shape[1]),
        gold_logprob=float(logprobs[rows, answers].mean()),
        calibration_error=_calibration_error(np.exp(logprobs.max(axis=1)), right),
    )
    return tuple(bool(outcome) for outcome in right), scores


def _renormalise(log_likelihoods: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-probabilities over the candidates alone."""
    shifted = log_likelihoods.astype(np.float64) - log_likelihoods.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _macro_f1(predicted: NDArray[np.intp], gold: NDArray[np.intp], n_labels: int) -> float:
    """F1 averaged over the classes that occur in gold labels or predictions."""
    values = []
    for label in range(n_labels):
        hits = np.sum((predicted == label) & (gold == label))
        occurrences = np.sum(predicted == label) + np.sum(gold == label)
        if occurrences:
            values.append(2 * hits / occurrences)
    return float(np.mean(values))


def _calibration_error(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> float:
    """Expected calibration error (Guo et al., 2017) over equal-width bins, the upper edge belonging to the bin."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    error = 0.0
    for number in range(CALIBRATION_BINS):
        inside = bins == number
        if inside.any():
            error += inside.mean() * abs(confidence[inside].mean() - right[inside].mean())
    return float(error)
