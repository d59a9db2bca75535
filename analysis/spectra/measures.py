"""Numbers that sum up the singular values of one matrix: effective ranks, and edges between structure and noise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

NORMAL_IQR = 1.349  # between the quartiles of a normal distribution, in standard deviations, as laserRMT rounds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A singular value above which a matrix is said to hold structure, and what lies on either side of it.

    Attributes:
        value: Where it is, in units of the singular values.
        above: How many singular values are larger.
        snr: Sum of those over the sum of all others; infinite where that sum is 0, also of a zero matrix.
    """

    value: float
    above: int
    snr: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What the singular values of one matrix say.

    Attributes:
        effective_rank: As ``effective_rank`` defines it.
        stable_rank: As ``stable_rank`` defines it.
        iqr_edge: laserRMT's, from the spread of the singular values.
        entry_edge: From the standard deviation of the matrix's entries; None where that was not measured.
    """

    effective_rank: float
    stable_rank: float
    iqr_edge: Edge
    entry_edge: Edge | None


def measure(values: ArrayLike, rows: int, cols: int, entry_std: float | None = None) -> Measures:
    """All measures of one matrix.

    Args:
        values: All its singular values: shape ``(min(rows, cols),)``, none negative, in any order.
        rows: Of the matrix.
        cols: Of the matrix.
        entry_std: Standard deviation of its entries, if known.
    """
    return Measures(
        effective_rank=effective_rank(values),
        stable_rank=stable_rank(values),
        iqr_edge=split_at(values, iqr_edge(values, rows, cols)),
        entry_edge=None if entry_std is None else split_at(values, entry_edge(entry_std, rows, cols)),
    )


def effective_rank(values: ArrayLike) -> float:
    """In how many directions a matrix acts, by the entropy of its singular values.

    ``exp(-sum(p ln p))`` with ``p = s / sum(s)``: ``k`` where ``k`` singular values are equal and the others 0, less
    where they are unequal. 0 for a zero matrix, where the authors leave it undefined.

    Source:
        Roy and Vetterli (2007), "The effective rank: a measure of effective dimensionality", EUSIPCO.
    """
    sizes = np.asarray(values, dtype=np.float64)
    positive = sizes[sizes > 0]
    if not len(positive):
        return 0.0
    shares = positive / positive.sum()
    return float(np.exp(-np.sum(shares * np.log(shares))))


def stable_rank(values: ArrayLike) -> float:
    """Squared Frobenius norm over squared spectral norm, ``sum(s²) / max(s)²``: small singular values hardly count.

    Never more than the rank; 0 for a zero matrix.
    """
    sizes = np.asarray(values, dtype=np.float64)
    largest = sizes.max(initial=0.0)
    return float(np.sum((sizes / largest) ** 2)) if largest else 0.0


def iqr_edge(values: ArrayLike, rows: int, cols: int) -> float:
    """The edge at which laserRMT cuts: ``spread * (1 + √beta)``, ``beta`` the shorter side over the longer.

    ``spread`` is the interquartile range of the singular values over 1.349, which would be their standard deviation if
    they were normally distributed. That is no noise level of the entries. Of a matrix that is noise alone, a quarter
    of the singular values lie above this edge if it is square, and all of them if one side is four times the other.
    The quartiles are interpolated linearly.

    Source:
        laserRMT (github.com/cognitivecomputations/laserRMT), ``rmt_laser_snr.py``.
    """
    lower, upper = np.quantile(np.asarray(values, dtype=np.float64), [0.25, 0.75])
    return float((upper - lower) / NORMAL_IQR * (1 + math.sqrt(min(rows, cols) / max(rows, cols))))


def entry_edge(entry_std: float, rows: int, cols: int) -> float:
    """Where the largest singular value of a matrix would lie that is noise alone: ``entry_std * (√rows + √cols)``.

    The limit for large matrices of independent entries with mean 0 and standard deviation ``entry_std``. Where the
    matrix holds structure, that is in ``entry_std`` too, so the edge is an upper bound of the noise's.

    Source:
        Marchenko and Pastur (1967); Yin, Bai and Krishnaiah (1988) for the largest one.
    """
    return entry_std * (math.sqrt(rows) + math.sqrt(cols))


def split_at(values: ArrayLike, edge: float) -> Edge:
    """Singular values above an edge against all others; a value on the edge counts as noise, as in laserRMT."""
    sizes = np.asarray(values, dtype=np.float64)
    above = sizes > edge
    signal, noise = float(sizes[above].sum()), float(sizes[~above].sum())
    return Edge(value=edge, above=int(above.sum()), snr=signal / noise if noise else math.inf)
