"""The kind ``tail``: only the small singular values stay, LASER's cut the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.clips.svd import kept_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.factors import Factors
    from clipsweep.trials.clips.target import Target


class Tail(Kind):
    """Drops the share ``clip_rate`` of the singular values from the largest on.

    As many of the smallest stay as ``svd`` keeps of the largest at the same rate.

    Source:
        Sharma, Ash and Misra (2024), arXiv:2312.13558, section 5.1, where the components of higher order are kept.
    """

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

    def factors(self, clip: Clip, target: Target) -> Factors:
        """The last of the SVD's."""
        full = min(target.weight.shape)
        return target.factors().without(0, full - kept_of(clip.clip_rate, full))

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The matrix of the smallest singular values, in float32."""
        full = min(target.weight.shape)
        return target.factors().between(full - kept_of(clip.clip_rate, full), full)
