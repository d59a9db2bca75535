"""What many points gain over their baselines in accuracy on the same examples, counted for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.frames.trial_values import NO_ROW, NO_SEED, Numbers

TOGETHER = 2**24  # outcomes that are unpacked at once, a byte each


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedGains:
    """Gains, an entry for each point: in accuracy, or of text in nats for each token.

    An example counts once however many demonstration seeds there are: its differences are averaged first.

    Attributes:
        gain: Mean of the paired differences over the examples that both have seen; NaN where there are none.
        standard_error: Of that, over examples; NaN with fewer than two.
        gained: Examples that are right more often than under the baseline, or windows that are likelier.
        lost: Examples that are right less often, or windows that are less likely.
    """

    gain: NDArray[np.float64]
    standard_error: NDArray[np.float64]
    gained: Numbers
    lost: Numbers


def paired_gains(packed: NDArray[np.uint8], n_examples: Numbers, trials: Numbers, baselines: Numbers) -> PairedGains:
    """Gains in accuracy of points over their baselines.

    Args:
        packed: Outcomes of trials, a bit each, the last row empty: shape ``(n_trials + 1, n_bytes)``.
        n_examples: That each of these has seen, from the first.
        trials: Of each point: shape ``(n_points, n_seeds)``, as ``trial_values`` has them.
        baselines: Of each point, seed by seed; the same shape.
    """
    there = trials != NO_SEED
    both = np.minimum(n_examples[np.maximum(trials, NO_ROW)], n_examples[np.maximum(baselines, NO_ROW)])
    counts = seen_by_all(both, there)
    sums = np.zeros((4, len(trials)), dtype=np.int64)  # of differences, of their squares, gained, lost
    step = max(1, TOGETHER // max(1, packed.shape[1] * 8 * trials.shape[1]))
    for first in range(0, len(trials), step):
        part = slice(first, first + step)
        sums[:, part] = _count(packed, trials[part], baselines[part], counts[part])
    return _gains(sums, counts, there.sum(axis=1))


def seen_by_all(seen: Numbers, there: NDArray[np.bool_]) -> Numbers:
    """The fewest examples that a trial of each point has seen; 0 of a point that has none."""
    most = np.iinfo(np.int64).max
    return np.where(there.any(axis=1), np.where(there, seen, most).min(axis=1, initial=most), 0)


def _count(packed: NDArray[np.uint8], trials: Numbers, baselines: Numbers, counts: Numbers) -> Numbers:
    """Sums over the examples that count: of differences, of their squares, of those gained, of those lost."""
    differences = _right(packed, trials) - _right(packed, baselines)
    differences[np.arange(differences.shape[1]) >= counts[:, None]] = 0
    squares = (differences.astype(np.int64) ** 2).sum(axis=1)
    total = differences.sum(axis=1, dtype=np.int64)
    return np.stack([total, squares, (differences > 0).sum(axis=1), (differences < 0).sum(axis=1)])


def _right(packed: NDArray[np.uint8], trials: Numbers) -> NDArray[np.int16]:
    """In how many seeds each example is right: shape ``(n_points, n_bits)``."""
    bits = np.unpackbits(packed[np.maximum(trials, NO_ROW)], axis=-1)
    return np.asarray(bits.sum(axis=1, dtype=np.int16))


def _gains(sums: Numbers, counts: Numbers, seeds: Numbers) -> PairedGains:
    """Means and their errors; all sums are whole numbers, so that nothing is rounded before."""
    total, squares, gained, lost = sums
    seeds = np.maximum(seeds, 1)
    gain = np.where(counts > 0, total / np.maximum(seeds * counts, 1), np.nan)
    left = np.maximum(squares / seeds**2 - counts * np.nan_to_num(gain) ** 2, 0.0)
    error = np.sqrt(left / np.maximum(counts - 1, 1) / np.maximum(counts, 1))
    return PairedGains(gain=gain, standard_error=np.where(counts > 1, error, np.nan), gained=gained, lost=lost)
