"""From label scores to what a row stores: outcomes, margins and what the metrics are counted from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.scores.tally import CALIBRATION_BINS, LabelTally, Tally

GRID = 2.0**-24  # what sums are counted in: finer than float32 scores are known
UNRIVALLED = 1.0  # margin of an answer that is the only choice: any clip leaves it right, and it is no outlier


def score_labels(
    log_likelihoods: NDArray[np.float32], gold: Sequence[int], *, strict: bool = False
) -> tuple[tuple[bool, ...], Tally]:
    """Judge predictions.

    Args:
        log_likelihoods: Shape ``(examples, labels)``, natural log; -inf for labels that an example lacks.
        gold: Index of the right label of each example.
        strict: Whether the right label must score higher than every other; else an exact tie goes to the first label.

    Returns:
        Right or wrong for each example, and the counts that the metrics follow from.
    """
    answers = np.asarray(gold)
    rows = np.arange(len(answers))
    predicted = predict(log_likelihoods, gold, strict=strict)
    right = predicted == answers
    logprobs = _renormalise(log_likelihoods)
    tally = Tally(
        examples=len(answers),
        right=int(right.sum()),
        gold_logprob=exact_sum(logprobs[rows, answers]),
        labels=tuple(_count_label(predicted, answers, label) for label in range(log_likelihoods.shape[1])),
        gaps=_calibration_gaps(np.exp(logprobs.max(axis=1)), right),
    )
    return tuple(bool(outcome) for outcome in right), tally


def predict(log_likelihoods: NDArray[np.float32], gold: Sequence[int], *, strict: bool = False) -> NDArray[np.intp]:
    """Index of the label that each example is given: shape ``(examples,)``; arguments as in ``score_labels``."""
    predicted: NDArray[np.intp] = log_likelihoods.argmax(axis=1)
    if strict:
        answers = np.asarray(gold)
        others = _without_gold(log_likelihoods, answers)
        ahead = log_likelihoods[np.arange(len(answers)), answers] > others.max(axis=1)
        predicted = np.where(ahead, answers, others.argmax(axis=1))
    return predicted


def measure_margins(log_likelihoods: NDArray[np.float32], gold: Sequence[int]) -> tuple[float, ...]:
    """How much higher the gold label of each example scores than the best other: above 0 where it alone is best.

    ``UNRIVALLED`` where an example has no other label.
    """
    answers = np.asarray(gold)
    others = _without_gold(log_likelihoods, answers).max(axis=1)
    margins = np.where(np.isneginf(others), UNRIVALLED, log_likelihoods[np.arange(len(answers)), answers] - others)
    return tuple(map(float, margins))


def _without_gold(log_likelihoods: NDArray[np.float32], answers: NDArray[np.intp]) -> NDArray[np.float32]:
    """The same scores but for the gold label's."""
    others = log_likelihoods.copy()
    others[np.arange(len(answers)), answers] = -np.inf
    return others


def _renormalise(log_likelihoods: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-probabilities over the candidates alone."""
    shifted = log_likelihoods.astype(np.float64) - log_likelihoods.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _count_label(predicted: NDArray[np.intp], gold: NDArray[np.intp], label: int) -> LabelTally:
    return LabelTally(
        hits=int(np.sum((predicted == label) & (gold == label))),
        predicted=int(np.sum(predicted == label)),
        gold=int(np.sum(gold == label)),
    )


def _calibration_gaps(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[float, ...]:
    """By equal-width bin (Guo et al., 2017), the upper edge belonging to the bin: confidence less right predictions."""
    bins = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    return tuple(exact_sum((confidence - right)[bins == number]) for number in range(CALIBRATION_BINS))


def exact_sum(values: NDArray[np.float64]) -> float:
    """The sum of values that are each rounded to a multiple of ``GRID``.

    Below 2**29 such sums are exact in float64. So the tallies of the parts of a race add up to the tally of a whole
    evaluation bit by bit, whatever the parts are.
    """
    return float((np.rint(values / GRID) * GRID).sum())
