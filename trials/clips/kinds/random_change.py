"""The kind ``random``: a change as large as the clip's, in random directions; what clipping has to be better than."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape, kept_of

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from clipsweep.trials.clips.target import Target


class RandomChange(Kind):
    """Adds a change that has the singular values which ``svd`` would drop at the same rate, and random directions.

    So it has the Frobenius norm and the rank, ``min(rows, cols) - r``, of the clip's change. Its singular vectors are
    uniform among the orthonormal ones: the Q of normal draws whose R has a positive diagonal (Mezzadri, 2007,
    arXiv:math-ph/0609050). They are drawn on the CPU in float32, by the option ``seed`` and the place of the matrix.
    """

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Whether the clip drops nothing."""
        return kept_of(clip.clip_rate, shape.full_rank) == shape.full_rank

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """All: the changed matrix has full rank."""
        return shape.rows * shape.cols

    def fingerprint(self, clip: Clip, shape: Shape) -> str:
        """The rank that ``svd`` would leave, and the seed."""
        return f"{kept_of(clip.clip_rate, shape.full_rank)} seed {clip.option('seed')}"

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The changed matrix, in float32."""
        rows, cols = target.weight.shape
        dropped = target.factors().s[kept_of(clip.clip_rate, min(rows, cols)) :]
        draw = target.generator(clip.option("seed"))
        left, right = (_orthonormal(size, len(dropped), draw, dropped.device) for size in (rows, cols))
        return target.weight.float() + (left * dropped) @ right.T


def _orthonormal(size: int, count: int, draw: torch.Generator, device: torch.device) -> Tensor:
    """Random orthonormal columns, shape ``(size, count)``, float32."""
    import torch

    q, r = torch.linalg.qr(torch.randn(size, count, generator=draw).to(device))
    columns: Tensor = q * torch.where(r.diagonal() < 0, -1.0, 1.0)
    return columns
