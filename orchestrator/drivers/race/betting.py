"""Bets against the hypothesis that an entry is better than its references by a margin.

An entry begins with the error rate, and before each row a stake is put on "it will do worse than the hypothesis says".
A row whose paired difference is ``d`` multiplies what is held by ``1 - stake · (d - expected)``. Where the hypothesis
is true and stakes depend on earlier rows alone, that has an expectation of at most 1, so by Ville's inequality what
is held comes to 1, at any row, with a chance of at most the error rate (Waudby-Smith and Ramdas, 2024, J. R. Stat.
Soc. B 86(1), arXiv:2010.09686). No choice of stakes can break this; it decides how soon an entry that is worse is
stopped.

An entry is looked at after a few known numbers of rows only. So what it holds lies in an account for each look, as
much as the look has rows more than the one before (Lan and DeMets, 1983, Biometrika 70(3)), and each account stakes
what makes its holder rich at that look with the highest chance: a normal test at the look, as a price that moves with
every row. If the sum that is still to come were normal, an account of ``p`` is the chance that the test rejects, and
the stake is what p loses in proportion for each unit of ``d``. What an account has left after its look goes to the
next one. Plain mixtures over stakes need differences half as large again.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

MOST = 0.95  # of an account that a row may take
PRIOR_VARIANCE = 0.25  # of a difference, counted as one row
LEAST_SHARE = 1e-300  # below it the normal quantile is not finite

Numbers = NDArray[np.float64]


def open_accounts(rungs: tuple[int, ...], error_rate: float) -> Numbers:
    """What an entry holds before the first row, shape ``(looks,)``: in all the error rate; at 1 it is stopped.

    Args:
        rungs: Rows of each rung, ascending; every one but the last, which is all rows, is a look.
        error_rate: Chance that an entry for which the hypothesis is true is stopped.
    """
    return np.diff(np.array((0, *rungs[:-1]), dtype=np.float64)) * (error_rate / rungs[-2])


def bet(accounts: Numbers, differences: Numbers, rung: int, rungs: tuple[int, ...], margin: float) -> Numbers:
    """Bet on the rows that lead to a rung; gives what is held after them.

    The hypothesis: the differences' expectation, or their mean over all rows of the last rung in a random order, is at
    least ``margin``. The guarantee holds for either, as each row is expected to have the lesser of what the two say.

    Args:
        accounts: Held before these rows, shape ``(entries, looks)``. Not modified.
        differences: Outcomes of each entry less those of its references, in [-1, 1], from the first row to the rung's
            last, shape ``(entries, rows)``. Which references they are must be known before the rung before.
        rung: Index of the rung.
        rungs: Rows of each rung, ascending to all rows.
        margin: Of the hypothesis, as a fraction.

    Returns:
        Shape of ``accounts``. An entry whose accounts sum to 1 or more bets no more.
    """
    held, looks = accounts.copy(), np.array(rungs[rung:-1])
    first = rungs[rung - 1] if rung else 0
    total, squares = differences[:, :first].sum(axis=1), (differences[:, :first] ** 2).sum(axis=1)
    for row in range(first, rungs[rung]):
        spread = np.maximum(squares - total**2 / max(row, 1), 0)
        deviations = np.sqrt((PRIOR_VARIANCE + spread) / (row + 1))
        expected = np.minimum(margin, (rungs[-1] * margin - total) / (rungs[-1] - row))
        stakes = np.minimum(
            _stakes(held[:, rung:], deviations[:, None] * np.sqrt(looks - row)), MOST / (1 - expected)[:, None]
        )
        held[:, rung:] *= 1 - stakes * (differences[:, row] - expected)[:, None]
        total, squares = total + differences[:, row], squares + differences[:, row] ** 2
    if rung + 2 < len(rungs):
        held[:, rung + 1] += held[:, rung]
        held[:, rung] = 0
    return held


def _stakes(held: Numbers, deviations: Numbers) -> Numbers:
    """What makes each account rich at its look with the highest chance, if the sum of what is to come were normal.

    Args:
        held: Shape ``(entries, looks to come)``.
        deviations: Standard deviations of the sum of differences from here to each look, of the same shape.

    Returns:
        Of that shape; 0 where the accounts sum to 1 or more.
    """
    from scipy.special import ndtri  # loading it takes longer than most commands

    needed = np.maximum(1 - held.sum(axis=1, keepdims=True) + held, held)
    shares = np.maximum(held / needed, LEAST_SHARE)
    densities = np.exp(-(ndtri(shares) ** 2) / 2) / math.sqrt(2 * math.pi)
    return np.asarray(densities / (shares * deviations))
