"""What many points gain over their baselines on the same windows of text, counted for all of them at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.frames.paired import PairedGains, paired_gains, seen_by_all
from clipsweep.analysis.frames.trial_values import NO_ROW, NO_SEED, Floats, Numbers, TrialValues, Windows

TOGETHER = 2**22  # windows that are looked at at once, eight bytes each


def gains_of(values: TrialValues, trials: Numbers, baselines: Numbers) -> PairedGains:
    """Gains of points over their baselines, in accuracy, or where texts were scored in nats for each token.

    Args:
        values: Of the trials.
        trials: Of each point: shape ``(n_points, n_seeds)``, as ``trial_values`` has them.
        baselines: Of each point, seed by seed; the same shape.
    """
    if values.windows is None:
        return paired_gains(values.packed, values.n_examples, trials, baselines)
    return text_gains(values.windows, values.n_examples, trials, baselines)


def text_gains(windows: Windows, n_examples: Numbers, trials: Numbers, baselines: Numbers) -> PairedGains:
    """Gains of points in the mean log-likelihood of a token; the standard error is that of a ratio of sums."""
    there = trials != NO_SEED
    both = np.minimum(n_examples[np.maximum(trials, NO_ROW)], n_examples[np.maximum(baselines, NO_ROW)])
    counts = seen_by_all(both, there)
    found = np.full((4, len(trials)), np.nan)
    step = max(1, TOGETHER // max(1, windows.tokens.shape[1] * trials.shape[1]))
    for first in range(0, len(trials), step):
        part = slice(first, first + step)
        differences = _mean_of(windows, trials[part], there[part]) - _mean_of(windows, baselines[part], there[part])
        tokens = windows.tokens[np.maximum(trials[part], NO_ROW)].max(axis=1)  # the same in all seeds that have them
        found[:, part] = _gains(differences, tokens.astype(np.int64), counts[part])
    gain, error, gained, lost = found
    return PairedGains(gain=gain, standard_error=error, gained=gained.astype(np.int64), lost=lost.astype(np.int64))


def _mean_of(windows: Windows, trials: Numbers, there: NDArray[np.bool_]) -> Floats:
    """Log-likelihood of each window, averaged over demonstration seeds: shape ``(n_points, n_windows)``."""
    each = windows.loglikelihoods[np.maximum(trials, NO_ROW)].astype(np.float64)
    each[~there] = 0
    return np.asarray(each.sum(axis=1) / np.maximum(there.sum(axis=1), 1)[:, None])


def _gains(differences: Floats, tokens: Numbers, counts: Numbers) -> Floats:
    """Gain, standard error, windows gained, and lost, each of shape ``(n_points,)``, over the windows that count.

    Args:
        differences: Of the windows' log-likelihoods, shape ``(n_points, n_windows)``.
        tokens: Scored in each window, of the same shape.
        counts: How many windows count, shape ``(n_points,)``.
    """
    counted = np.arange(differences.shape[1]) < counts[:, None]
    differences = np.where(counted, differences, 0.0)
    weights = np.where(counted, tokens, 0)
    total = np.where(counts > 0, weights.sum(axis=1), 1)
    gain = np.where(counts > 0, differences.sum(axis=1) / total, np.nan)
    beside = differences - np.nan_to_num(gain)[:, None] * weights
    error = np.sqrt((beside**2).sum(axis=1) * counts / np.maximum(counts - 1, 1)) / total
    error = np.where(counts > 1, error, np.nan)
    return np.stack([gain, error, (differences > 0).sum(axis=1), (differences < 0).sum(axis=1)])
