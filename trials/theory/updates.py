"""The implicit update of an attention block, ``ΔW``, as thin factors, and its norm without a matrix of its size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.theory import attention
from clipsweep.trials.theory.attention import Projections, in_float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """``ΔW = outer @ inner``, shape ``(width, width)``, never formed.

    Attributes:
        outer: Shape ``(width, heads * value_size)``, floating point: the output matrix, of which float32 is made some
            rows at a time.
        inner: Shape ``(heads * value_size, width)``, float32: what the demonstrations make of the queries' matrix.
    """

    outer: Tensor
    inner: Tensor

    def times(self, columns: Tensor) -> Tensor:
        """``ΔW @ columns``, both ``(width, n)``."""
        moved = self.inner @ columns
        return torch.cat([rows @ moved for rows in in_float32(self.outer)])

    def log_norm(self) -> Tensor:
        """Natural log of the Frobenius norm, a float64 scalar; minus infinity of zero.

        The product is formed some rows at a time, and its squares are summed in float64: ``2 d³`` operations where the
        heads are together as wide as the model, ``d``, as they are in almost all; 137 · 10⁹ of a block of width 4096.
        Nothing that is exact and holds no matrix of that size for each block is cheaper:

        * the Gram matrices of the two factors cost ``4 d³``, half of it if each is formed on one side of its diagonal,
          and their products cancel, so that digits are lost. With those of ``O`` and ``Q`` held from trial to trial the
          rest would cost ``4 d² · head size``; but they are two matrices of ``d²`` entries for each block;
        * as ``Σ_h (O_h V_g X) (X^T K_g^T Q_h)``, over ``N`` tokens, the product costs ``2 d² · heads · N``: less only
          where the prompt has fewer tokens than a head has entries, 64 to 256, as few prompts with demonstrations have.
        """
        norms = [torch.linalg.vector_norm(rows @ self.inner, dtype=torch.float64) for rows in in_float32(self.outer)]
        return log_of_norm(torch.stack(norms))


def log_of_norm(entries: Tensor) -> Tensor:
    """Natural log of the norm of all entries together, a float64 scalar; minus infinity of zero."""
    norm: Tensor = torch.linalg.vector_norm(entries, dtype=torch.float64)
    return norm.log()


def form_update(read: Tensor, projections: Projections, scale: float) -> Update:
    """What the demonstrations do to the weights of an attention block, by Lemma 1 of the paper.

    For each head ``h`` with matrices ``Q_h``, ``K_g``, ``V_g`` and ``O_h``, where heads of queries may share a group
    ``g`` of keys and values, ``ΔW = s/N Σ_h O_h (Σ_i V_g x_i ⊗ K_g x_i) Q_h`` over the ``N`` tokens ``x_i`` read. The
    inner sum is a matrix of the size of a head, so that all stays thin.

    Attention is taken to be linear, as in the paper: biases, rotary positions and norms of queries and keys are left
    out, and the softmax is. Where scores are small it is ``(1 + s q·k_i) / N``, ``s`` being the scale of its scores;
    the part that depends on the query has the factor ``s/N``. The paper drops that. Without it ``ΔW`` is so large that
    the 1 in ``1 + W`` means nothing, and ``G_t`` is but a product of updates. The tokens are those that the projections
    read: behind the block's norm.

    Args:
        read: Shape ``(tokens, width)``, floating point.
        projections: The block's matrices, on the same device.
        scale: ``s``.

    Source:
        Yao et al. (2024), arXiv 2406.03768, Lemma 1.
    """
    read = read.float()
    groups, width = projections.groups, read.shape[1]
    keys, values = (
        torch.cat([read @ rows.T for rows in in_float32(matrix)], dim=1).view(len(read), groups, -1).transpose(0, 1)
        for matrix in (projections.k, projections.v)
    )
    of_groups = values.transpose(1, 2) @ keys * (scale / len(read))  # (groups, value_size, key_size)
    queries = projections.q.view(groups, projections.heads // groups, -1, width)
    inner = torch.empty(*queries.shape[:2], of_groups.shape[1], width, device=read.device)
    step = max(1, attention.ENTRIES_AT_ONCE // queries[0].numel())
    for first in range(0, groups, step):
        some = slice(first, first + step)
        inner[some] = of_groups[some, None] @ queries[some].float()
    return Update(outer=projections.o, inner=inner.view(-1, width))
