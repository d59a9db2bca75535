"""The implicit update of an attention block, ``ΔW``, as thin factors, and its norm without a matrix of its size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.theory.attention import Projections

ENTRIES_AT_ONCE = 2**22  # of the product of the thin factors


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """``ΔW = outer @ inner``, shape ``(width, width)``, never formed.

    Attributes:
        outer: Shape ``(width, heads * value_size)``, float32: the output matrix.
        inner: Shape ``(heads * value_size, width)``, float32: what the demonstrations make of the queries' matrix.
    """

    outer: Tensor
    inner: Tensor

    def times(self, columns: Tensor) -> Tensor:
        """``ΔW @ columns``, both ``(width, n)``."""
        return self.outer @ (self.inner @ columns)

    def log_norm(self) -> Tensor:
        """Natural log of the Frobenius norm, a float64 scalar; minus infinity of zero.

        The product is formed some rows at a time, and its squares are summed in float64. The Gram matrices of the two
        factors would give the norm too; they cost twice as much where the heads are together as wide as the model, as
        they are in almost all, and their products cancel, so that digits are lost.
        """
        width = self.inner.shape[1]
        step = max(1, ENTRIES_AT_ONCE // width)
        norms = [
            torch.linalg.vector_norm(self.outer[some : some + step] @ self.inner, dtype=torch.float64)
            for some in range(0, len(self.outer), step)
        ]
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
    keys = (read @ projections.k.T).view(len(read), groups, -1).transpose(0, 1)
    values = (read @ projections.v.T).view(len(read), groups, -1).transpose(0, 1)
    of_groups = values.transpose(1, 2) @ keys  # (groups, value_size, key_size)
    queries = projections.q.reshape(groups, projections.heads // groups, -1, width)
    inner = (of_groups[:, None] * (scale / len(read))) @ queries
    return Update(outer=projections.o, inner=inner.reshape(-1, width))
