"""Assumption 1's own C_t: how the gradients of single demonstrations differ within one set, for each set anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.theory.covariance import SINGULAR
from clipsweep.trials.theory.linear_stack import LinearBlock, implicit_updates, run_stack, trajectory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Noise:
    """Of one block, for each set.

    Attributes:
        gradients: ``|G_t|``, shape ``(…,)``.
        eigenvalues: Of C_t for b = 1, shape ``(…, width²)``, largest first; those that are rounding are 0.
    """

    gradients: Tensor
    eigenvalues: Tensor

    @property
    def ranks(self) -> Tensor:
        """Of C_t, shape ``(…,)``."""
        return (self.eigenvalues > 0).sum(-1)


def single_gradients(blocks: Sequence[LinearBlock], demonstrations: Tensor) -> list[Tensor]:
    """What each demonstration makes of the implicit gradient: ``N (value h_i ⊗ key h_i) query (1 + W_{t-1})``.

    Args:
        blocks: Of one head, without ``mlp``.
        demonstrations: Shape ``(…, width, N)``.

    Returns:
        Of each block, shape ``(…, N, width, width)``; the mean over the demonstrations is G_t.
    """
    inputs = run_stack(blocks, demonstrations, demonstrations[..., :0])
    before = torch.zeros_like(demonstrations @ demonstrations.mT)
    found = []
    for block, step, hidden in zip(blocks, trajectory(implicit_updates(blocks, demonstrations)), inputs, strict=False):
        after = block.query + block.query @ before
        written, keys = (block.value @ hidden).mT, (block.key @ hidden).mT
        found.append(hidden.shape[-1] * written[..., :, None] * (keys @ after)[..., None, :])
        before = step.total
    return found


def noise_of_single(gradients: Tensor) -> Noise:
    """C_t of one block from the gradients of single demonstrations, ``(…, N, width, width)``."""
    vectors = gradients.flatten(-2)
    centred = vectors - vectors.mean(-2, keepdim=True)
    eigenvalues = torch.linalg.eigvalsh(centred.mT @ centred / vectors.shape[-2]).flip(-1)
    kept = eigenvalues * (eigenvalues > SINGULAR * eigenvalues[..., :1])
    return Noise(gradients=vectors.mean(-2).norm(dim=-1), eigenvalues=kept)


def noise_bound(noises: Sequence[Noise], demonstrations: int, batch: int, spread: float) -> Tensor:
    """Theorem 2's bound in its tight form, in the range of each set's C_t, for gradients of ``batch`` demonstrations.

    Args:
        noises: Of each block, of shape ``(…, sets)``.
        demonstrations: N.
        batch: b, below N.
        spread: R.

    Returns:
        Shape ``(…,)``, the mean over sets being taken under the root, as in the theorem.
    """
    scale = (demonstrations - batch) / (batch * (demonstrations - 1))
    total = torch.stack([_terms(noise, scale).mean(-1) for noise in noises]).sum(0)
    return spread * (total.clamp_min(0) / demonstrations).sqrt()


def _terms(noise: Noise, scale: float) -> Tensor:
    """``d log((|G_t|² + tr C_t) / d) - tr log C_t`` of each set, ``d`` being the rank; 0 for none."""
    values, ranks = scale * noise.eigenvalues, noise.ranks
    spread = (noise.gradients.square() + values.sum(-1)) / ranks.clamp_min(1)
    logs = torch.where(values > 0, values, 1).log().sum(-1)
    return torch.where(ranks > 0, ranks * spread.log() - logs, 0)
