"""Spearman's rank correlation, with average ranks for ties, of many resamples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ROUNDING = 1e-12  # of a sum of products of ranks, relative
TOGETHER = 200  # resamples that are looked at at once
VALUES_TOGETHER = 2**18  # that are ranked at once: ranking holds several copies of them
Floats = NDArray[np.float64]


def spearman(one: Sequence[float] | Floats, other: Sequence[float] | Floats) -> float:
    """Correlation of the ranks of two rows of values, from -1 to 1; NaN where one of them does not vary.

    Args:
        one: Shape ``(n,)``, without NaN. Infinities are in order.
        other: The same.
    """
    from scipy.stats import spearmanr  # loading it takes longer than most commands

    if min(len(np.unique(each)) for each in (one, other)) < 2:
        return float("nan")
    return float(spearmanr(one, other).statistic)


def spearman_to_columns(rows: NDArray[np.floating], columns: NDArray[np.floating]) -> Floats:
    """Of each row with each column, as ``spearman`` has it of two.

    Args:
        rows: Shape ``(n_rows, n)``, without NaN.
        columns: Shape ``(n, n_columns)``, without NaN: resamples of one row of values.

    Returns:
        Shape ``(n_rows, n_columns)``; NaN where one of the two does not vary.
    """
    ranked, step = _standard_ranks(rows), max(1, min(TOGETHER, VALUES_TOGETHER // len(columns)))
    parts = (columns[:, first : first + step].T for first in range(0, columns.shape[1], step))
    return np.concatenate([ranked @ _standard_ranks(part).T for part in parts], axis=1)


def spearman_by_group(
    rows: NDArray[np.floating], target: NDArray[np.floating], groups: NDArray[np.int64], draws: Floats
) -> Floats:
    """Of each row with the target, where each resample holds whole groups of values so many times.

    A rank in a resample is linear in how often each group was drawn, so sums of products of ranks are cubic forms in
    it: no resample is written out, and none is sorted.

    Args:
        rows: Shape ``(n_rows, n)``, without NaN.
        target: Shape ``(n,)``, without NaN.
        groups: Number of each value's group, from 0: shape ``(n,)``.
        draws: How often each resample holds each group, 0 or more: shape ``(n_resamples, n_groups)``.

    Returns:
        Shape ``(n_rows, n_resamples)``; 0 where a resample holds nothing that varies, as such ranks tell nothing.
    """
    members = [np.flatnonzero(groups == group) for group in range(draws.shape[1])]
    total = draws @ np.array([len(each) for each in members], dtype=np.float64)
    to = _below(target, groups, draws.shape[1])
    of_target = _spread(to, to, members, draws, total)
    found = []
    for row in rows:
        below = _below(row, groups, draws.shape[1])
        scale = np.sqrt(_spread(below, below, members, draws, total) * of_target)
        found.append(_spread(below, to, members, draws, total) / np.where(scale > 0, scale, np.inf))
    return np.array(found).reshape(len(rows), len(draws))


def _standard_ranks(rows: NDArray[np.floating]) -> Floats:
    """Ranks within each row, less their mean, and of length 1; NaN where a row does not vary."""
    from scipy.stats import rankdata

    away = rankdata(rows, axis=1) - (rows.shape[1] + 1) / 2
    length = np.sqrt((away**2).sum(axis=1, keepdims=True))
    return np.asarray(away / np.where(length > 0, length, np.nan))


def _below(values: NDArray[np.floating], groups: NDArray[np.int64], n_groups: int) -> Floats:
    """How many values of each group are less than each value, equal ones counting half: shape ``(n, n_groups)``."""
    _, place = np.unique(values, return_inverse=True)
    counts = np.zeros((place.max() + 1, n_groups))
    np.add.at(counts, (place, groups), 1.0)
    return np.asarray((np.cumsum(counts, axis=0) - counts / 2)[place])


def _spread(one: Floats, other: Floats, members: Sequence[NDArray[np.int64]], draws: Floats, total: Floats) -> Floats:
    """Sum of the products of two rows of ranks less their means, in each resample; 0 where it is rounding alone."""
    forms = np.array([one[each].T @ other[each] for each in members]).reshape(len(members), -1)
    sums = []
    for drawn in (draws[first : first + TOGETHER] for first in range(0, len(draws), TOGETHER)):
        pairs = (drawn[:, :, None] * drawn[:, None, :]).reshape(len(drawn), -1)
        sums.append(np.einsum("rp,rp->r", drawn @ forms, pairs))
    spread = np.concatenate(sums) - total**3 / 4
    return np.where(np.abs(spread) > ROUNDING * total**3, spread, 0.0)
