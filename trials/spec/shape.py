"""Shapes of a model's matrices, what a clip rate leaves of them, and how JSON holds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from typing import Any, NamedTuple


class Shape(NamedTuple):
    """Matrices of one shape.

    Attributes:
        rows: Outputs, as in ``nn.Linear``.
        cols: Inputs.
        count: How many; more than one for the experts of a mixture.
    """

    rows: int
    cols: int
    count: int  # type: ignore[assignment]  # hides tuple.count, which nothing here calls

    @property
    def full_rank(self) -> int:
        """The most singular values above 0 that such a matrix can have."""
        return min(self.rows, self.cols)

    def parameters_at(self, rank: int) -> int:
        """Parameters of one such matrix of a rank: its own, or those of its two factors, whichever are fewer."""
        return min(self.rows * self.cols, rank * (self.rows + self.cols))


Shapes = Mapping[tuple[int, str], tuple[Shape, ...]]


@lru_cache(maxsize=16)  # resolving a clip asks several times for the same few sizes
def kept_of(clip_rate: float, full: int) -> int:
    """How many of ``full`` singular values, or other things, a clip leaves.

    ``(1 - clip_rate) * full``, in decimal arithmetic on the rate as written, rounded half up, never fewer than one: a
    rate of 0.9 keeps 2 of 20, where floating point would keep 1.
    """
    exact = (1 - Decimal(str(clip_rate))) * full
    return max(1, int(exact.to_integral_value(ROUND_HALF_UP)))


def rows_of_shapes(shapes: Shapes) -> list[list[Any]]:
    """Shapes as JSON holds them: ``[layer, role, rows, cols, count]``."""
    return [[layer, role, *shape] for (layer, role), held in shapes.items() for shape in held]


def shapes_of_rows(rows: Sequence[Sequence[Any]]) -> dict[tuple[int, str], tuple[Shape, ...]]:
    """Shapes out of JSON; rows without a count, as older files hold them, are of one matrix."""
    shapes: dict[tuple[int, str], tuple[Shape, ...]] = {}
    for layer, role, n_rows, n_cols, *count in rows:
        shapes[layer, role] = (*shapes.get((layer, role), ()), Shape(n_rows, n_cols, *(count or [1])))
    return shapes
