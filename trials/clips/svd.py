"""The kind ``svd``: the exact truncated singular value decomposition of the original weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.factors import Factors


class Svd(Kind):
    """Keeps the largest singular values: as many as ``Clip.kept_rank`` says."""

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Whether all singular values are left."""
        return clip.kept_rank(shape.rows, shape.cols) == min(shape.rows, shape.cols)

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """Parameters of the matrix or of its two factors, whichever are fewer."""
        rank = clip.kept_rank(shape.rows, shape.cols)
        return min(shape.rows * shape.cols, rank * (shape.rows + shape.cols))

    def fingerprint(self, clip: Clip, shape: Shape) -> int:
        """The rank that is left."""
        return clip.kept_rank(shape.rows, shape.cols)

    def apply(self, clip: Clip, weight: Tensor, factors: Callable[[], Factors]) -> Tensor:
        """The nearest matrix of that rank, in float32."""
        rows, cols = weight.shape
        return factors().low_rank(clip.kept_rank(rows, cols))
