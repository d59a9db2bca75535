"""The kind ``window``: the singular values between two ranks are dropped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    from torch import Tensor

    from clipsweep.trials.clips.factors import Factors
    from clipsweep.trials.clips.target import Target


class Window(Kind):
    """Drops the singular values of ranks ``a`` to before ``b``, from the option ``drop: [a, b]``.

    Ranks are counted from 0, the largest singular value. A window that ends after a matrix's last rank ends there; a
    matrix with no rank in it is left alone. The rate has no meaning: clips of all rates, 0 among them, are one trial.
    """

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Whether the matrix has no singular value in the window."""
        first, end = _window(clip, shape.full_rank)
        return first == end

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """Parameters of the matrix or of its two factors, whichever are fewer."""
        first, end = _window(clip, shape.full_rank)
        return shape.parameters_at(shape.full_rank - (end - first))

    def fingerprint(self, clip: Clip, shape: Shape) -> str:
        """The ranks that are dropped."""
        first, end = _window(clip, shape.full_rank)
        return f"{first}-{end}"

    def thin_rank(self, clip: Clip, shape: Shape) -> int | None:
        """The rank that is left; None where that is 0."""
        first, end = _window(clip, shape.full_rank)
        return shape.full_rank - (end - first) or None

    def factors(self, clip: Clip, target: Target) -> Factors:
        """The SVD's without those of the window."""
        return target.factors().without(*_window(clip, min(target.weight.shape)))

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The matrix of the other singular values, in float32."""
        full = min(target.weight.shape)
        first, end = _window(clip, full)
        factors = target.factors()
        return factors.low_rank(first) + factors.between(end, full)


def _window(clip: Clip, full: int) -> tuple[int, int]:
    """The first rank that a matrix of full rank ``full`` loses, and the one after the last."""
    first, end = clip.option("drop")
    return min(first, full), min(end, full)
