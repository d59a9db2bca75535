"""The kind ``zero``: nothing is left of the matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.target import Target


class Zero(Kind):
    """Makes every entry zero. The rate has no meaning: clips of all rates, 0 among them, are one trial."""

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Never."""
        return False

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """None."""
        return 0

    def fingerprint(self, clip: Clip, shape: Shape) -> int:
        """The same for all clips: the rank that is left."""
        return 0

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """Zeros."""
        return target.weight.new_zeros(target.weight.shape)
