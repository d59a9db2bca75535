"""Stacks of linear-attention blocks, and the implicit updates that demonstrations make in them: Lemma 1 and Theorem 1.

Tokens are columns. Every token, a demonstration too, attends to the demonstrations alone. All is float64, because the
statements are equalities that hold to its rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.base.errors import SpecError


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LinearBlock:
    """One attention block with its residual, without softmax: ``h + mlp · value · H M (key · H)ᵀ · query · h``.

    Several heads stand along a first axis, and what they write is summed.

    Attributes:
        query: Shape ``(keys, width)``, or ``(heads, keys, width)``; float64. A scale of the scores is part of it.
        key: Shape of ``query``.
        value: Shape ``(outputs, width)``, or ``(heads, outputs, width)``. Without ``mlp``, outputs are ``width``.
        mlp: What attention's output passes through, as a matrix: ``(width, outputs)``, one for all heads, or
            ``(heads, width, outputs)``. The relaxed MLP of the paper's appendix A.3, or a model's output matrix.
            None for none.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mlp: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuse matrices that do not fit together.

        Raises:
            SpecError: A matrix is not float64, or has a shape that does not fit.
        """
        width, heads = self.query.shape[-1], self.query.shape[:-2]
        outputs = width if self.mlp is None else self.mlp.shape[-1]
        expected = {"query": (*heads, self.query.shape[-2], width), "value": (*heads, outputs, width)}
        expected["key"] = expected["query"]
        if self.mlp is not None:
            expected["mlp"] = (*(heads if self.mlp.dim() == 3 else ()), width, outputs)
        for name, shape in expected.items():
            matrix: Tensor = getattr(self, name)
            if matrix.dtype != torch.float64 or matrix.shape != shape or matrix.dim() not in {2, 3}:
                raise SpecError(
                    f"{name} is {matrix.dtype} of shape {tuple(matrix.shape)}; expected torch.float64 of shape "
                    f"{shape}, with or without heads in front. Convert it with .double(), or mend its shape."
                )

    @property
    def width(self) -> int:
        """Entries of a hidden state."""
        return self.query.shape[-1]

    @property
    def heads(self) -> int:
        """Number of heads; the rank of an update is at most that of the demonstrations times this."""
        return self.query.shape[0] if self.query.dim() == 3 else 1

    def write(self, read: Tensor) -> Tensor:
        """``mlp · value · read``: what each head adds for what it has read, ``(…, heads, width, tokens)``."""
        written = self.value @ read
        return written if self.mlp is None else self.mlp @ written

    def attend(self, hidden: Tensor, demonstrations: int) -> Tensor:
        """What the block gives for its input, by a plain forward pass.

        Args:
            hidden: Shape ``(…, width, tokens)``, the demonstrations first.
            demonstrations: How many tokens are attended to: ``M`` is 1 for these and 0 for the rest.
        """
        read = self._for_heads(hidden)
        mask = torch.arange(hidden.shape[-1], device=hidden.device)[:, None] < demonstrations
        scores = (self.key @ read).mT @ (self.query @ read)
        return hidden + self._sum_of_heads(self.write(read) @ (mask * scores))

    def update(self, demonstrations: Tensor) -> Tensor:
        """ΔW of Lemma 1: ``(Σ_i write(h_i) ⊗ key h_i) · query``; the block gives ``h + ΔW h`` for any other ``h``.

        Args:
            demonstrations: The block's own input ``H_s``, shape ``(…, width, demonstrations)``.

        Returns:
            Shape ``(…, width, width)``. Its rank is at most that of ``H_s``, for several heads times their number.
        """
        read = self._for_heads(demonstrations)
        return self._sum_of_heads(self.write(read) @ (self.key @ read).mT @ self.query)

    def _for_heads(self, hidden: Tensor) -> Tensor:
        return hidden if self.query.dim() == 2 else hidden.unsqueeze(-3)

    def _sum_of_heads(self, written: Tensor) -> Tensor:
        return written if self.query.dim() == 2 else written.sum(-3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Step:
    """What one block adds to the implicit weights: Theorem 1.

    Attributes:
        update: ΔW_t, shape ``(…, width, width)``.
        gradient: G_t = ΔW_t (1 + W_{t-1}), the implicit gradient.
        total: W_t = W_{t-1} + G_t, with W_0 = 0: after the block, the query is ``h + W_t h`` of what entered the stack.
    """

    update: Tensor
    gradient: Tensor
    total: Tensor


def run_stack(blocks: Sequence[LinearBlock], demonstrations: Tensor, queries: Tensor) -> tuple[Tensor, ...]:
    """A forward pass; the reference of all that this folder says of stacks.

    Args:
        blocks: In order.
        demonstrations: Shape ``(…, width, demonstrations)``.
        queries: Shape ``(…, width, queries)``. They do not see each other.

    Returns:
        Hidden states of demonstrations and queries, ``(…, width, demonstrations + queries)``: those that enter, and
        those after each block.

    Raises:
        SpecError: States or blocks are not of one width, or not float64.
    """
    for hidden in (demonstrations, queries):
        check_states(blocks, hidden)
    states = [torch.cat([demonstrations, queries], dim=-1)]
    for block in blocks:
        states.append(block.attend(states[-1], demonstrations.shape[-1]))
    return tuple(states)


def implicit_updates(blocks: Sequence[LinearBlock], demonstrations: Tensor) -> tuple[Tensor, ...]:
    """ΔW_t of each block, from the demonstrations alone: no query is needed, because none is attended to.

    Args:
        blocks: In order.
        demonstrations: What enters the first block, shape ``(…, width, demonstrations)``.

    Returns:
        Shape ``(…, width, width)`` each.

    Raises:
        SpecError: States or blocks are not of one width, or not float64.

    Source:
        Yao et al. (2024), arXiv:2406.03768, Lemma 1 and Theorem 1.
    """
    check_states(blocks, demonstrations)
    updates = []
    for block in blocks:
        updates.append(block.update(demonstrations))
        demonstrations = block.attend(demonstrations, demonstrations.shape[-1])
    return tuple(updates)


def trajectory(updates: Sequence[Tensor]) -> tuple[Step, ...]:
    """G_t and W_t of Theorem 1, from the ΔW_t of ``implicit_updates``.

    Returns:
        One step for each update. The query after block ``t`` is ``h + steps[t].total @ h`` of the query that entered.

    Source:
        Yao et al. (2024), arXiv:2406.03768, Theorem 1.
    """
    steps: list[Step] = []
    for update in updates:
        before = steps[-1].total if steps else torch.zeros_like(update)
        gradient = update + update @ before
        steps.append(Step(update=update, gradient=gradient, total=before + gradient))
    return tuple(steps)


def check_states(blocks: Sequence[LinearBlock], hidden: Tensor) -> None:
    """Refuse states that do not fit the blocks.

    Raises:
        SpecError: There is no block, states or blocks are not of one width, or not float64.
    """
    widths = {block.width for block in blocks}
    if hidden.dtype != torch.float64 or hidden.dim() < 2 or widths != {hidden.shape[-2]}:
        raise SpecError(
            f"hidden states are {hidden.dtype} of shape {tuple(hidden.shape)}, and the blocks' widths are "
            f"{sorted(widths)}; expected torch.float64 of shape (…, width, tokens), and one width. Tokens are columns."
        )
