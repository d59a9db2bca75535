"""What has been seen of points, as readings with errors that go together.

Every point is read on the same rows in one order, and compared with the untouched model row by row. The effect of a
point is its mean difference in units of the spread of its own differences: a clip that changes little can neither gain
nor lose much, and effects of all clips are of one size. Readings on the first rows err together, as all see the same
rows: clips that move the threshold between two labels look good, all of them, where one label is frequent by chance. So
their errors have a covariance, estimated from the rows of the first rung and shrunk (Schaefer and Strimmer, 2005, Stat.
Appl. Genet. Mol. Biol. 4, 32). What the untouched model did on all rows tells how unusual the first ones are: its
values stand beside the points as readings whose error is known (control variates).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
LEAST_SPREAD = 1e-4  # of differences: a clip that changes nothing
FAR = 1e-4  # a smoothed value this near to 0 or 1 is as sure as any


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Of points first, then of controls, which have no effect of their own.

    Attributes:
        points: Which point each reading is of, by its place in the list read; fewer than there are values.
        values: Effects read, then errors of controls.
        errors: Their covariance.
        spreads: Of the differences of each point of the list, in accuracy.
    """

    points: NDArray[np.intp]
    values: Numbers
    errors: Numbers
    spreads: Numbers


def read(points: Sequence[Sequence[Numbers]], untouched: Sequence[Numbers], rungs: Sequence[int]) -> Readings:
    """Readings of points at every rung that they have reached.

    Args:
        points: Of each, at every rung that it has reached, its values on those rows, in [0, 1].
        untouched: The same of the model as it is, which has reached as many rungs at least.
        rungs: Rows of each, ascending to all.
    """
    total, first = rungs[-1], rungs[0]
    differences = [[mine - beside for mine, beside in zip(values, untouched, strict=False)] for values in points]
    spreads = np.array([_spread(each[-1]) for each in differences])
    looks = [(number, rung) for number, each in enumerate(differences) for rung in range(len(each))]
    places = np.array([number for number, _ in looks], dtype=np.intp)
    values = [differences[number][rung].mean() / spreads[number] for number, rung in looks]
    first_looks = [_standard(each[0]) for each in differences]
    residuals = [first_looks[number] for number in places]
    names, rows = places.tolist(), [rungs[rung] for _, rung in looks]
    if len(untouched) == len(rungs):
        most = max(rows)
        for control, each in enumerate(_controls(untouched[-1])):
            for seen in (seen for seen in rungs[:-1] if seen <= most):
                values.append(each[:seen].mean())
                rows.append(seen)
                names.append(-1 - control)
                residuals.append(_standard(each[:first]))
    return Readings(
        points=places,
        values=np.array(values),
        errors=_errors(np.stack(residuals), np.array(names), np.array(rows, dtype=np.float64), total),
        spreads=spreads,
    )


def _spread(differences: Numbers) -> float:
    """Their standard deviation; where all are the same, as few rows may tell nothing, about that of one row turned."""
    return max(float(differences.std(ddof=1)) or 1 / len(differences), LEAST_SPREAD)


def _controls(values: Numbers) -> list[Numbers]:
    """Functions of the untouched model's values, in standard deviations from their means over all rows."""
    from scipy.special import ndtri  # loading it takes longer than most commands

    made = [values, values * (1 - values), ndtri(np.clip(values, FAR, 1 - FAR))]
    if len(np.unique(values)) <= 2:
        del made[1:]  # plain outcomes, of which these are the same again
    return [(each - each.mean()) / each.std() for each in made if each.std()]


def _standard(values: Numbers) -> Numbers:
    """Values of mean 0 and variance 1; all 0 where none differ."""
    centred = values - values.mean()
    return np.asarray(centred / (float(centred.std()) or 1.0))


def _errors(residuals: Numbers, names: NDArray[np.int_], rows: Numbers, total: int) -> Numbers:
    """Covariance of mean values on the first rows, of so many in all: of nested rows the larger number counts."""
    count = residuals.shape[1]
    together = residuals @ residuals.T / count
    same = names[:, None] == names
    squares = residuals**2
    uncertain = (squares @ squares.T / count - together**2) * count / (count - 1) ** 2
    seen = float((together[~same] ** 2).sum())
    shrinkage = min(1.0, float(uncertain[~same].sum()) / seen) if seen else 1.0
    correlations = np.where(same, 1.0, (1 - shrinkage) * together)
    return np.asarray(correlations * (1 / np.maximum(rows[:, None], rows) - 1 / total))
