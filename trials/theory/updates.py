"""The implicit update of an attention block, ``ΔW``, as its factors, and its norm without a matrix of its size."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.theory import attention
from clipsweep.trials.theory.attention import Projections, in_float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """``ΔW = O M Q``, shape ``(width, width)``, never formed; ``M`` has a block for each head, and zeros besides.

    Attributes:
        outer: ``O``, shape ``(width, heads * value_size)``, floating point: the output matrix, of which float32 is made
            some rows at a time, as it is of the queries'.
        core: The blocks of ``M``, shape ``(heads, value_size, key_size)``, float32: what the demonstrations are.
        queries: ``Q``, shape ``(heads * key_size, width)``, floating point.
    """

    outer: Tensor
    core: Tensor
    queries: Tensor

    def times(self, columns: Tensor) -> Tensor:
        """``ΔW @ columns``, both ``(width, n)``."""
        heads, _, key_size = self.core.shape
        asked = _times(self.queries, columns).view(heads, key_size, -1)
        return _times(self.outer, (self.core @ asked).flatten(0, 1))

    def log_norm(self) -> Tensor:
        """Natural log of the Frobenius norm, a float64 scalar; minus infinity of zero.

        ``M Q`` is formed, then its product with ``O`` some rows at a time, of which the squares are summed in float64:
        ``2 d³`` operations where the heads are together as wide as the model, ``d``, as they are in almost all;
        137 · 10⁹ of a block of width 4096. Gram matrices make it cheaper, but have to be held (``grams.py``). Nothing
        else that is exact is: as ``Σ_h (O_h V_g X) (X^T K_g^T Q_h)``, over ``N`` tokens, the product costs
        ``2 d² · heads · N``, less only where the prompt has fewer tokens than a head has entries, 64 to 256, as few
        prompts with demonstrations have.
        """
        heads, value_size, key_size = self.core.shape
        queries = self.queries.view(heads, key_size, -1)
        inner = torch.empty(heads, value_size, queries.shape[2], device=self.core.device)
        step = max(1, attention.ENTRIES_AT_ONCE // queries[0].numel())
        for first in range(0, heads, step):
            some = slice(first, first + step)
            inner[some] = self.core[some] @ queries[some].float()
        inner = inner.flatten(0, 1)
        norms = [torch.linalg.vector_norm(rows @ inner, dtype=torch.float64) for rows in in_float32(self.outer)]
        return log_of_norm(torch.stack(norms))


def _times(matrix: Tensor, columns: Tensor) -> Tensor:
    """Their product in float32, some rows at a time."""
    return torch.cat([rows @ columns for rows in in_float32(matrix)])


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
    groups = projections.groups
    keys, values = (
        torch.cat([read @ rows.T for rows in in_float32(matrix)], dim=1).view(len(read), groups, -1).transpose(0, 1)
        for matrix in (projections.k, projections.v)
    )
    of_groups = values.transpose(1, 2) @ keys * (scale / len(read))  # (groups, value_size, key_size)
    core = of_groups.repeat_interleave(projections.heads // groups, dim=0)
    return Update(outer=projections.o, core=core, queries=projections.q)
