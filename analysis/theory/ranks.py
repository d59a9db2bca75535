"""Spearman's rank correlation, with average ranks for ties, of many resamples at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def ranks_of(values: NDArray[np.floating]) -> Floats:
    """Ranks from 1; equal values share the mean of theirs. Infinities are in order.

    Args:
        values: Shape ``(n,)``, without NaN.
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[place], dtype=np.float64)


def spearman(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    """Correlation of the ranks of two rows of values, from -1 to 1; NaN where one of them does not vary.

    Args:
        one: Shape ``(n,)``, without NaN.
        other: The same.
    """
    return float((_standard(ranks_of(one)) * _standard(ranks_of(other))).sum())


def spearman_to_columns(rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Floats:
    """Of each row with each column; NaN where one of them does not vary.

    Args:
        rows: Shape ``(n_rows, n)``, without NaN.
        columns: Shape ``(n, n_columns)``, without NaN: resamples of one row of values.

    Returns:
        Shape ``(n_rows, n_columns)``.
    """
    ranked_rows = np.array([_standard(ranks_of(row)) for row in rows]).reshape(rows.shape)
    ranked = np.array([_standard(ranks_of(column)) for column in columns.T]).reshape(columns.T.shape)
    return np.asarray(ranked_rows @ ranked.T)


def spearman_weighted(rows: NDArray[np.floating], target: NDArray[np.floating], counts: Floats) -> Floats:
    """Of each row with the target, where each resample holds the values so many times.

    Args:
        rows: Shape ``(n_rows, n)``, without NaN.
        target: Shape ``(n,)``, without NaN.
        counts: How often each resample holds each of the ``n``, 0 or more: shape ``(n, n_resamples)``.

    Returns:
        Shape ``(n_rows, n_resamples)``; NaN where a resample holds nothing that varies.
    """
    to = _weighted_standard(target, counts)
    return np.array([(counts * _weighted_standard(row, counts) * to).sum(axis=0) for row in rows])


def _standard(ranks: Floats) -> Floats:
    """Less their mean, and of length 1; NaN where they do not vary."""
    away = ranks - ranks.mean()
    length = np.sqrt((away**2).sum())
    return away / length if length else np.full_like(away, np.nan)


def _weighted_standard(values: NDArray[np.floating], counts: Floats) -> Floats:
    """Ranks within each resample, less their mean and of length 1 there: shape ``(n, n_resamples)``."""
    _, place = np.unique(values, return_inverse=True)
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(place.max() + 1))
    of_groups = np.add.reduceat(counts[order], starts, axis=0)
    ranks = (np.cumsum(of_groups, axis=0) - (of_groups - 1) / 2)[place]
    total = counts.sum(axis=0)
    away = ranks - (counts * ranks).sum(axis=0) / np.maximum(total, 1)
    length = np.sqrt((counts * away**2).sum(axis=0))
    return np.asarray(away / np.where(length > 0, length, np.nan))
