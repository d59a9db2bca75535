"""The kind ``svd``: the exact truncated singular value decomposition of the original weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape, kept_of

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.target import Target


def kept_rank(clip_rate: float, rows: int, cols: int) -> int:
    """The rank that a clip leaves: how many singular values of a ``(rows, cols)`` matrix stay, by ``kept_of``."""
    return kept_of(clip_rate, min(rows, cols))


class Svd(Kind):
    """Keeps the largest singular values: as many as ``kept_rank`` says."""

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Whether all singular values are left."""
        return kept_of(clip.clip_rate, shape.full_rank) == shape.full_rank

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """Parameters of the matrix or of its two factors, whichever are fewer."""
        return shape.parameters_at(kept_of(clip.clip_rate, shape.full_rank))

    def fingerprint(self, clip: Clip, shape: Shape) -> int:
        """The rank that is left."""
        return kept_of(clip.clip_rate, shape.full_rank)

    def thin_rank(self, clip: Clip, shape: Shape) -> int:
        """The rank that is left."""
        return kept_of(clip.clip_rate, shape.full_rank)

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The nearest matrix of that rank, in float32."""
        return target.factors().low_rank(kept_rank(clip.clip_rate, *target.weight.shape))
