"""From what passes through a matrix to what dropping its small singular values does: the formula of a screen."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from clipsweep.trials.clips.factors import Factors


def project(factors: Factors, given: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Inputs of a matrix and gradients of its outputs, in the bases of its singular vectors.

    Args:
        factors: Of the matrix ``(rows, cols)``.
        given: What it reads, shape ``(batch, tokens, cols)``.
        gradient: Of what it answers, shape ``(batch, tokens, rows)``.

    Returns:
        Two of shape ``(batch, tokens, k)``, in float32 at least: how much each right singular vector reads, and what
        a unit of each left one is worth.
    """
    dtype = torch.promote_types(given.dtype, torch.float32)
    return given.to(dtype) @ factors.vh.T.to(dtype), gradient.to(dtype) @ factors.u.to(dtype)


def first_order(factors: Factors, read: Tensor, worth: Tensor, ranks: Sequence[int]) -> Tensor:
    """Change of a margin if only so many of a matrix's singular values are kept, in first order.

    With ``W = sum_i s_i u_i v_iᵀ`` the margin's derivative by ``s_i`` is ``g_i = sum_t (u_i · delta_t)(v_i · x_t)``
    over the tokens, so that dropping those after the first k changes it by ``- sum_{i>k} s_i g_i``: one cumulative sum
    from the smallest up gives every rank.

    Args:
        factors: Of the matrix.
        read: ``v_i · x_t``, shape ``(batch, tokens, k)``.
        worth: ``u_i · delta_t``, the same shape; ``delta`` is the gradient of the margin.
        ranks: Singular values kept, each from 1 to ``k``.

    Returns:
        Shape ``(batch, ranks)``.

    Source:
        The sensitivity of a loss to singular values, as in Compress to Impress (arXiv 2510.20800) and ZS-SVD (arXiv
        2602.02848).
    """
    parts = (read * worth).sum(dim=1) * factors.s.to(read.dtype)
    dropped = parts.flip(1).cumsum(dim=1).flip(1)
    nothing = dropped.new_zeros(len(dropped), 1)
    return -torch.cat([dropped, nothing], dim=1)[:, list(ranks)]
