"""The kind ``tail``: only the small singular values stay, LASER's cut the other way round."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.svd import Svd
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import kept_of

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.factors import Factors
    from clipsweep.trials.clips.target import Target


class Tail(Svd):
    """Drops the share ``clip_rate`` of the singular values from the largest on.

    As many of the smallest stay as ``svd`` keeps of the largest at the same rate, so that all that follows from their
    number is as there.

    Source:
        Sharma, Ash and Misra (2024), arXiv:2312.13558, section 5.1, where the components of higher order are kept.
    """

    def factors(self, clip: Clip, target: Target) -> Factors:
        """The last of the SVD's."""
        full = min(target.weight.shape)
        return target.factors().without(0, full - kept_of(clip.clip_rate, full))

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The matrix of the smallest singular values, in float32."""
        full = min(target.weight.shape)
        return target.factors().between(full - kept_of(clip.clip_rate, full), full)
