"""Gram matrices of untouched weights, held from trial to trial: norms of updates for a fraction of the operations."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.models.matrices import Matrix
from clipsweep.trials.theory.attention import BlockAttention, in_float32, read_matrix

STRIPES = 4  # that a Gram matrix is cut into, so that 5/8 of it are formed; twice as many would be 9/16
LEAST_SHARE = 1e-4  # of what its terms may add up to a square is: of less too many digits are lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Gram:
    """``AᵀA`` of a matrix ``A`` whose columns are those of heads, without most of what is there twice.

    Attributes:
        stripes: Products of some heads with themselves and all later heads, from the first heads to the last: each
            ``(heads of the stripe, size, heads from its first on, size)``, float32.
        norms: Of each stripe, for each pair of heads: ``(heads of the stripe, heads from its first on)``, float64.
    """

    stripes: tuple[Tensor, ...]
    norms: tuple[Tensor, ...]

    @classmethod
    def form(cls, matrix: Tensor, heads: int) -> Gram:
        """Of a matrix ``(rows, heads * size)``, floating point: ``5/4 rows (heads * size)²`` operations."""
        by_head = matrix.view(len(matrix), heads, -1)
        stripes = []
        for first, n in _cut(heads):
            width = n * by_head.shape[2]
            stripe = torch.zeros(width, (heads - first) * by_head.shape[2], device=matrix.device)
            for rows in in_float32(by_head[:, first:].flatten(1)):
                stripe.addmm_(rows[:, :width].T, rows)
            stripes.append(stripe.view(n, by_head.shape[2], heads - first, -1))
        norms = (torch.linalg.vector_norm(stripe, dim=(1, 3), dtype=torch.float64) for stripe in stripes)
        return cls(stripes=tuple(stripes), norms=tuple(norms))

    def of_groups(self, groups: int) -> Tensor:
        """``Σ_h A_hᵀ A_h`` over the heads of each group: shape ``(groups, size, size)``."""
        of_heads = torch.cat([stripe.diagonal(dim1=0, dim2=2).movedim(2, 0) for stripe in self.stripes])
        return of_heads.view(groups, -1, *of_heads.shape[1:]).sum(dim=1)


def log_norm_by_grams(core: Tensor, outer: Gram, queries: Gram) -> tuple[Tensor, Tensor]:
    """Natural log of the Frobenius norm of ``O M Q``, as of ``Update.log_norm``.

    The square is ``Σ_{h,h'} tr(M_hᵀ (O_hᵀ O_h') M_h' (Q_h' Q_hᵀ))``, in which two heads come twice: ``5/2 d² · size``
    operations where the heads are together as wide as the model, ``d``, and a head has ``size`` entries.

    Where heads cancel each other, or what the demonstrations are lies along small singular values, the terms are larger
    than their sum, and so many times a rounding error of float32, 6e-8, is the log off: the whole product loses the
    root of that. So the square is compared with what its terms may add up to at most, the product of the norms of
    their four factors. In models, trained and random, of width 128 to 2048, logs and their changes by clips are as near
    to those in float64 either way, within 1e-7.

    Args:
        core: The blocks of ``M``, shape ``(heads, value_size, key_size)``, float32.
        outer: Of ``O``.
        queries: Of ``Qᵀ``.

    Returns:
        The log, a float64 scalar, and whether it is to be relied on, a boolean one: not where the square is less than
        ``LEAST_SHARE`` of what its terms may add up to, or beyond float32. A core that is not finite has no better one.
    """
    largest = core.abs().amax()
    core = core / torch.where(largest == 0, 1, largest)  # so that no square overflows
    of_heads = torch.linalg.vector_norm(core, dim=(1, 2), dtype=torch.float64)
    halves, most, first = [], [], 0
    for left, right, *norms in zip(outer.stripes, queries.stripes, outer.norms, queries.norms, strict=True):
        (n, value_size, m, _), key_size = left.shape, right.shape[3]
        moved = core[first : first + n].transpose(1, 2) @ left.reshape(n, value_size, m * value_size)
        moved = moved.view(n * key_size, m, value_size).transpose(0, 1) @ core[first:]
        products = (moved * right.view(n * key_size, m, key_size).transpose(0, 1)).sum(dim=2).double().sum(dim=1)
        halves += [products[:n].sum() / 2, products[n:].sum()]
        terms = torch.outer(of_heads[first : first + n], of_heads[first:]) * norms[0] * norms[1]
        most += [terms[:, :n].sum() / 2, terms[:, n:].sum()]
        first += n
    square = 2 * torch.stack(halves).sum().clamp(min=0)
    has_digits = square.isfinite() & (square > 2 * LEAST_SHARE * torch.stack(most).sum())
    log = square.log() / 2 + torch.where(largest == 0, 1, largest).double().log()
    return log, has_digits | (largest == 0) | ~largest.isfinite()


class HeldGrams:
    """Gram matrices of outputs and queries that no clip has touched, for as many blocks as there is room for.

    The last blocks come first: most trials measure them. Once given up, none are formed until ``restore``, and then
    where the untouched model reads demonstrations that it has not read yet: what ran out of memory with them would run
    out again.
    """

    def __init__(
        self, parameters: Mapping[str, Tensor], attentions: Sequence[BlockAttention | None], room: int
    ) -> None:
        """Hold none yet.

        Args:
            parameters: The model's, by name, which hold its own weights now; clips point them at others.
            attentions: Of each block; None where it is not measured.
            room: Bytes that they may take.
        """
        self._parameters = parameters
        matrices = [matrix for each in _last_that_fit(attentions, room) for matrix in (each.o, each.q)]
        self._own = {matrix: self._place(matrix) for matrix in matrices}
        self._held: dict[Matrix, Gram] = {}
        self._given_up = False

    def form(self, attention: BlockAttention) -> None:
        """Form those of a block that are not held, where they have room and the block holds its own weights."""
        if self._given_up:
            return
        for matrix in (attention.o, attention.q):
            if matrix not in self._held and self._own.get(matrix) == self._place(matrix):
                read = read_matrix(self._parameters, matrix)
                self._held[matrix] = Gram.form(read if matrix is attention.o else read.T, attention.heads)

    def of(self, matrix: Matrix) -> Gram | None:
        """That of an output or of queries; None where it is not held, or where a clip has touched the matrix."""
        return self._held.get(matrix) if self._own.get(matrix) == self._place(matrix) else None

    def give_up(self) -> bool:
        """Hold none any more, and form none until ``restore``; False if none were held."""
        self._given_up, gave_up = True, bool(self._held)
        self._held.clear()
        return gave_up

    def restore(self) -> None:
        """Let them be formed again."""
        self._given_up = False

    def _place(self, matrix: Matrix) -> int:
        """Where its parameter's memory begins: elsewhere under a clip, as the model's own weights stay in memory."""
        return self._parameters[matrix.parameter].data_ptr()


def _cut(heads: int) -> list[tuple[int, int]]:
    """The first head of each stripe, and how many it has."""
    step = math.ceil(heads / STRIPES)
    return [(first, min(step, heads - first)) for first in range(0, heads, step)]


def _last_that_fit(attentions: Sequence[BlockAttention | None], room: int) -> list[BlockAttention]:
    """Attentions from the last one on whose Gram matrices take no more than ``room`` bytes together."""
    fitting = []
    for attention in reversed([each for each in attentions if each is not None]):
        pairs = sum(n * (attention.heads - first) for first, n in _cut(attention.heads))
        room -= 4 * pairs * (attention.value_size**2 + attention.key_size**2)
        if room < 0:
            break
        fitting.append(attention)
    return fitting
