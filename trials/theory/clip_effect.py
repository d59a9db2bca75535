"""What clipping one matrix of a stack does to its implicit updates: the paper's Examples 1 to 4, checked one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal, get_args

from torch import Tensor

from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.clips.factors import compute_factors
from clipsweep.trials.theory.linear_stack import LinearBlock, run_stack
from clipsweep.trials.theory.stack_norms import BlockNorms, stack_norms

MatrixName = Literal["query", "key", "value", "mlp"]
ROUNDING = 1e-5  # relative; the SVD of a clip is float32


class Claim(StrEnum):
    """A statement on the norms of a stack in which block k is clipped, on the same demonstrations.

    ``M`` is the clipped matrix, ``M_r`` what is kept of it, ``δ`` what is cut off; norms are Frobenius norms.
    """

    BOUND = "|ΔW_t|² ≤ UB(|ΔW_t|²)"
    BOUND_FALLS = "UB(|ΔW_k|²) falls"
    TOKENS_SPLIT = "Σ_i |M z_i|² = Σ_i |M_r z_i|² + Σ_i |δ z_i|²"
    SUM_OF_PARTS = "|ΔW_k| ≤ |ΔW_k with M_r| + |ΔW_k with δ|"
    SQUARES_ADD_UP = "|ΔW_k|² = |ΔW_k with M_r|² + |ΔW_k with δ|²"
    UPDATE_FALLS = "|ΔW_k| falls"
    GRADIENT_FALLS = "|G_k| falls"
    LATER_UPDATE_FALLS = "|ΔW_t| falls, t > k"
    LATER_GRADIENT_FALLS = "|G_t| falls, t > k"


EQUALITIES = frozenset({Claim.TOKENS_SPLIT, Claim.SQUARES_ADD_UP})


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A claim on one block, with both of its sides.

    Attributes:
        claim: What is said.
        block: Of which block, counted from 0.
        left: Left side of the inequality or equality; where something falls, its value after the clip.
        right: Right side; where something falls, its value before.
    """

    claim: Claim
    block: int
    left: float
    right: float

    @property
    def holds(self) -> bool:
        """Whether it is so, up to ``ROUNDING`` of the larger side. What stays as it is counts as fallen."""
        slack = ROUNDING * max(self.left, self.right)
        if self.claim in EQUALITIES:
            return abs(self.left - self.right) <= slack
        return self.left <= self.right + slack


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipEffect:
    """A stack before and after a clip.

    Attributes:
        before: Of each block.
        after: Of each block, with the clip.
        statements: The paper's, and those that one might read into them, each with both sides.
    """

    before: tuple[BlockNorms, ...]
    after: tuple[BlockNorms, ...]
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """A block with one of its matrices cut in two.

    Attributes:
        whole: As it was.
        kept: With what a clip keeps of the matrix.
        cut: With what it cuts off.
    """

    whole: LinearBlock
    kept: LinearBlock
    cut: LinearBlock

    def __iter__(self) -> Iterator[LinearBlock]:
        """The whole, then the parts."""
        return iter((self.whole, self.kept, self.cut))


def clip_effect(
    blocks: Sequence[LinearBlock], demonstrations: Tensor, block: int, matrix: MatrixName, rank: int
) -> ClipEffect:
    """Clip one matrix of one block, run the stack anew on the same demonstrations, and compare.

    Args:
        blocks: The stack.
        demonstrations: What enters the first block, shape ``(width, demonstrations)``, float64.
        block: Which is clipped, from 0.
        matrix: Which of its matrices. Of several heads it is clipped as models keep it, all heads in one.
        rank: Singular values that are kept, the largest.

    Raises:
        SpecError: There is no such block or matrix, the rank does not fit, or states do not fit the blocks.

    Source:
        Yao et al. (2024), arXiv:2406.03768, Examples 1 to 4.
    """
    if not 0 <= block < len(blocks):
        raise SpecError(f"there is no block {block}; expected 0 to {len(blocks) - 1}. Blocks are counted from 0.")
    before = stack_norms(blocks, demonstrations)
    parts = split_block(blocks[block], matrix, rank)
    after = stack_norms([*blocks[:block], parts.kept, *blocks[block + 1 :]], demonstrations)
    hidden = run_stack(blocks, demonstrations, demonstrations[:, :0])[block]
    statements = (
        *(
            Statement(claim=Claim.BOUND, block=t, left=each.update**2, right=each.stated)
            for t, each in enumerate(before)
        ),
        *_of_parts(parts, matrix, hidden, block),
        *_of_falls(before, after, block),
    )
    return ClipEffect(before=before, after=after, statements=statements)


def split_block(block: LinearBlock, matrix: MatrixName, rank: int) -> Parts:
    """Cut one of a block's matrices in two: what a clip to ``rank`` keeps, and what it cuts off.

    Raises:
        SpecError: There is no such matrix, or the rank is below 1 or above that of the matrix.
    """
    if matrix not in get_args(MatrixName):
        raise SpecError(unknown_name("matrix", matrix, get_args(MatrixName)))
    stored: Tensor | None = getattr(block, matrix)
    if stored is None:
        raise SpecError(f"the block has no matrix {matrix!r}; expected one that it has. Clip query, key or value.")
    whole = _joined(stored, matrix)
    if not 1 <= rank <= min(whole.shape):
        raise SpecError(
            f"rank {rank} is asked for of a {matrix} of shape {tuple(whole.shape)}; expected 1 to {min(whole.shape)}. "
            f"Name the number of singular values that stay."
        )
    kept = compute_factors(whole, matrix).low_rank(rank).double()
    one, other = (_parted(part, stored, matrix) for part in (kept, whole - kept))
    return Parts(whole=block, kept=replace(block, **{matrix: one}), cut=replace(block, **{matrix: other}))


def _joined(stored: Tensor, matrix: MatrixName) -> Tensor:
    """All heads in one matrix: outputs below each other; of what follows attention, inputs side by side."""
    heads_first = stored.movedim(0, 1) if matrix == "mlp" and stored.dim() == 3 else stored
    return heads_first.flatten(1) if matrix == "mlp" else heads_first.reshape(-1, stored.shape[-1])


def _parted(joined: Tensor, stored: Tensor, matrix: MatrixName) -> Tensor:
    """The heads again, in the shape that is stored."""
    if matrix == "mlp" and stored.dim() == 3:
        return joined.reshape(stored.shape[1], stored.shape[0], -1).movedim(1, 0).contiguous()
    return joined.reshape(stored.shape)


def _of_parts(parts: Parts, matrix: MatrixName, hidden: Tensor, block: int) -> Iterator[Statement]:
    """Statements on the kept and the cut part, for the same input of the block."""
    whole, kept, cut = (float(part.update(hidden).norm()) for part in parts)
    yield Statement(claim=Claim.SUM_OF_PARTS, block=block, left=whole, right=kept + cut)
    yield Statement(claim=Claim.SQUARES_ADD_UP, block=block, left=whole**2, right=kept**2 + cut**2)
    whole, kept, cut = (_length(part, matrix, hidden) ** 2 for part in parts)
    yield Statement(claim=Claim.TOKENS_SPLIT, block=block, left=whole, right=kept + cut)


def _length(part: LinearBlock, matrix: MatrixName, hidden: Tensor) -> float:
    """The norm of what a matrix makes of the demonstrations; for the MLP, of attention's values of them."""
    stored: Tensor = getattr(part, matrix)
    given = part.value @ hidden if matrix == "mlp" else hidden
    return float((stored @ given).norm())


def _of_falls(before: Sequence[BlockNorms], after: Sequence[BlockNorms], block: int) -> Iterator[Statement]:
    """What falls by the clip, and what might."""
    old, new = before[block], after[block]
    yield Statement(claim=Claim.BOUND_FALLS, block=block, left=new.stated, right=old.stated)
    yield Statement(claim=Claim.UPDATE_FALLS, block=block, left=new.update, right=old.update)
    yield Statement(claim=Claim.GRADIENT_FALLS, block=block, left=new.gradient, right=old.gradient)
    for t in range(block + 1, len(before)):
        old, new = before[t], after[t]
        yield Statement(claim=Claim.LATER_UPDATE_FALLS, block=t, left=new.update, right=old.update)
        yield Statement(claim=Claim.LATER_GRADIENT_FALLS, block=t, left=new.gradient, right=old.gradient)
