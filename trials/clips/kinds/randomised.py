"""The kind ``randomised``: the release's ``torch.svd_lowrank``, with a seed, and its count of ranks."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from clipsweep.trials.clips.kind import Kind
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.shape import Shape

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from clipsweep.trials.clips.target import Target

ITERATIONS = 2


def release_rank(clip_rate: float, full: int) -> int:
    """The rank that the release keeps: ``int(full * (10 - rate) * 0.1)`` in floating point, its rate being 0 to 10.

    0.995 of 192 keeps none. The rate on the release's scale is the decimal one times 10: 9.95, not 0.995 * 10.
    """
    return int(full * (10 - float(Decimal(str(clip_rate)) * 10)) * 0.1)


class Randomised(Kind):
    """Keeps a low-rank matrix that a randomised SVD finds, as the paper's release makes it for its last measurements.

    ``torch.svd_lowrank(weight, q=rank, niter=2)`` in float32, with draws of the option ``seed`` and the place of the
    matrix, where the release has none. Rank 0 leaves zeros. A rate of 0 is a randomised SVD of full rank, which is not
    quite the untouched matrix, and so a trial of its own.

    Source:
        Yao, Hu, Yang and Liu (2024), arXiv:2406.03768, its released code.
    """

    def leaves_alone(self, clip: Clip, shape: Shape) -> bool:
        """Never: not even at full rank."""
        return False

    def parameters_kept(self, clip: Clip, shape: Shape) -> int:
        """Parameters of the matrix or of its two factors, whichever are fewer."""
        return shape.parameters_at(release_rank(clip.clip_rate, shape.full_rank))

    def fingerprint(self, clip: Clip, shape: Shape) -> str:
        """The rank that is left, and the seed."""
        return f"{release_rank(clip.clip_rate, shape.full_rank)} seed {clip.option('seed')}"

    def apply(self, clip: Clip, target: Target) -> Tensor:
        """The matrix of that rank, in float32."""
        from clipsweep.trials.clips.factors import finite

        weight = finite(target.weight, target.name).float()
        return lowrank(weight, release_rank(clip.clip_rate, min(weight.shape)), target.generator(clip.option("seed")))


def lowrank(weight: Tensor, rank: int, draw: torch.Generator) -> Tensor:
    """What ``torch.svd_lowrank`` gives of a float32 matrix, multiplied out; bit by bit on the CPU.

    It is written out here because torch draws on the matrix's device, from the stream of all draws: other numbers on
    other devices. Here they come from ``draw``, which is of the CPU.

    Source:
        Halko, Martinsson and Tropp (2009), arXiv:0909.4061, algorithms 4.4 and 5.1, as ``torch/_lowrank.py`` has them.
    """
    import torch

    if rank == 0:
        return torch.zeros_like(weight)
    tall = weight if weight.shape[0] >= weight.shape[1] else weight.T
    basis = torch.linalg.qr(tall @ torch.randn(tall.shape[1], rank, generator=draw).to(tall.device)).Q
    for _ in range(ITERATIONS):
        basis = torch.linalg.qr(tall.T @ basis).Q
        basis = torch.linalg.qr(tall @ basis).Q
    u, s, vh = torch.linalg.svd(basis.T @ tall, full_matrices=False)
    u, v = basis @ u, vh.T
    low: Tensor = (u * s) @ v.T if tall is weight else (v * s) @ u.T
    return low
