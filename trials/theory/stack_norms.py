"""Norms of the implicit updates of a stack, and the paper's upper bound of them beside two that are upper bounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from clipsweep.trials.theory.linear_stack import LinearBlock, implicit_updates, run_stack, trajectory


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockNorms:
    """Norms of one block, and bounds of the first of them.

    ``a_i = |mlp · value · h_i| |key · h_i| |query|`` for each demonstration of each head; there are ``n`` of them.

    Attributes:
        update: ``|ΔW_t|``, a Frobenius norm.
        gradient: ``|G_t|``.
        stated: ``Σ a_i²``: the paper's UB(|ΔW_t|²) as it is written. It bounds ``update²`` for ``n = 1`` alone.
        counted: ``n Σ a_i²``, which is an upper bound of ``update²`` (Cauchy and Schwarz).
        summed: ``(Σ a_i)²``, the tighter one (triangle inequality).
    """

    update: float
    gradient: float
    stated: float
    counted: float
    summed: float


def stack_norms(blocks: Sequence[LinearBlock], demonstrations: Tensor) -> tuple[BlockNorms, ...]:
    """Norms of each block of a stack.

    Args:
        blocks: In order.
        demonstrations: What enters the first, shape ``(width, demonstrations)``, float64.

    Raises:
        SpecError: States do not fit the blocks.

    Source:
        Yao et al. (2024), arXiv:2406.03768, Example 1 for ``stated``.
    """
    steps = trajectory(implicit_updates(blocks, demonstrations))
    inputs = run_stack(blocks, demonstrations, demonstrations[:, :0])
    return tuple(
        _norms(float(step.update.norm()), float(step.gradient.norm()), _terms(block, hidden))
        for block, step, hidden in zip(blocks, steps, inputs[:-1], strict=True)
    )


def _norms(update: float, gradient: float, terms: Tensor) -> BlockNorms:
    stated = float(terms.square().sum())
    summed = float(terms.sum()) ** 2
    return BlockNorms(update=update, gradient=gradient, stated=stated, counted=terms.numel() * stated, summed=summed)


def _terms(block: LinearBlock, hidden: Tensor) -> Tensor:
    """The ``a_i``, shape ``(demonstrations,)`` or ``(heads, demonstrations)``."""
    lengths: Tensor = block.write(hidden).norm(dim=-2) * (block.key @ hidden).norm(dim=-2)
    queries: Tensor = block.query.flatten(-2).norm(dim=-1, keepdim=True)
    return lengths * queries
