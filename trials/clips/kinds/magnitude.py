"""The kind ``magnitude``: the smallest entries become zero, which LASER compares its cut with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape, kept_of

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.target import Target


class Magnitude(Kind):
    """Sets the share ``clip_rate`` of a matrix's entries to zero, the smallest by absolute value.

    As many stay as ``kept_of`` says of all entries. Of equal ones the first, row by row, become zero first.

    Source:
        Sharma, Ash and Misra (2024), arXiv:2312.13558, their "dropout" by magnitude.
    """

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Whether every entry is kept."""
        return _kept(clip, shape.rows, shape.cols) == shape.rows * shape.cols

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """Entries that are kept; where they lie is not counted."""
        return _kept(clip, shape.rows, shape.cols)

    def fingerprint(self, clip: Clip, shape: Shape) -> int:
        """How many entries are kept."""
        return _kept(clip, shape.rows, shape.cols)

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The matrix with zeros, in its own dtype."""
        from clipsweep.trials.clips.factors import finite

        weight = finite(target.weight, target.name)
        entries = weight.flatten()
        order = entries.abs().argsort(stable=True)
        zeroed = order[: len(entries) - _kept(clip, *weight.shape)]
        return entries.index_fill(0, zeroed, 0).reshape(weight.shape)


def _kept(clip: Clip, rows: int, cols: int) -> int:
    return kept_of(clip.clip_rate, rows * cols)
