"""Theorem 2: a bound of the generalization error of a stack, from implicit gradients of many demonstration sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.theory.covariance import Covariance, estimate_covariance
from clipsweep.trials.theory.linear_stack import Step

SETS_PER_ENTRY = 4  # fewer demonstration sets than this for each entry of G_t say too little of its covariance

Singular = Literal["refuse", "shrink", "range"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTerm:
    """What one block adds to the bound, and what it is made of. Norms are Frobenius norms, means are over sets.

    Attributes:
        update: Mean of ``|ΔW_t|``.
        gradient: Mean of ``|G_t|``.
        rank: Of the sample covariance of ``vec(G_t)``.
        shrinkage: Ledoit and Wolf's, in [0, 1].
        product: ``E[d log((|ΔW_t|² |1 + W_{t-1}|² + tr C_t) / d)] - tr log C_t``, as the theorem has it; in nats, never
            negative. None where there is no bound.
        tight: The same with ``|G_t|²`` in place of the product, as the theorem's proof has it; never more.
    """

    update: float
    gradient: float
    rank: int
    shrinkage: float
    product: float | None
    tight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """Theorem 2's bound of the expected generalization error, in the unit of the loss.

    Attributes:
        product: ``sqrt(R² / N Σ_t product term)``; None where there is no bound.
        tight: The same of the tight terms.
        reason: Why there is no bound, in words; None where there is one.
        blocks: Of each block; its norms also where there is no bound.
    """

    product: float | None
    tight: float | None
    reason: str | None
    blocks: tuple[BlockTerm, ...]


def generalization_bound(
    steps: Sequence[Step], *, demonstrations: int, spread: float, singular: Singular = "refuse"
) -> Bound:
    """Bound the expected difference of the loss on new queries and the loss on the demonstrations.

    C_t is not the paper's. Its Assumption 1 has ``(N - b) / (b (N - 1)) (1/N Σ_i g_i g_iᵀ - G_t G_tᵀ)``, how gradients
    ``g_i`` of single demonstrations differ within one set, where each step draws b of them. Here C_t is the covariance
    of ``vec(G_t)`` over many sets, by Ledoit and Wolf: attention reads all demonstrations at once, so that b is N and
    the paper's C_t is zero; for any other b it is singular in every block, as each ``g_i`` is linear in the symmetric
    ``h_i h_iᵀ``. What does vary in a stack is the set.

    A singular C_t has no logarithm, and the theorem, which asks for a positive definite one, says nothing. Here that is
    so for the first block of every stack, whose G_1 is linear in a symmetric matrix (H_s times its transpose), and for
    clipped matrices.

    Args:
        steps: Of each block, by ``trajectory``, of demonstration sets along the first axis: ``(sets, width, width)``.
            All are of one task: the theorem's examples come from one distribution.
        demonstrations: N, the examples in a set.
        spread: R: the loss is R-sub-Gaussian. A loss in [a, b] has ``(b - a) / 2``; a squared error without limits has
            none.
        singular: What becomes of a sample covariance that is singular. ``"refuse"``: no bound. ``"shrink"``: the shrunk
            one is taken all the same; the bound then grows without end as there are more sets. ``"range"``: C_t, not
            shrunk, within the directions that G_t varies in, d being their number. The theorem's proof holds there too,
            if the noise of its Assumption 1 stays in these directions.

    Raises:
        SpecError: ``demonstrations`` or ``spread`` is not positive, or steps are not of many sets.

    Source:
        Yao et al. (2024), arXiv:2406.03768, Theorem 2; its Lemma 6 for ``tight``; its Assumption 1 for the C_t
        that is replaced.
    """
    if demonstrations < 1 or not spread > 0 or not steps or steps[0].gradient.dim() != 3:
        raise SpecError(
            f"{demonstrations} demonstrations, a spread of {spread} and {len(steps)} steps are given; expected N and R "
            f"of Theorem 2, both positive, and steps of shape (sets, width, width). Stack the sets along a first axis."
        )
    covariances = [estimate_covariance(step.gradient.flatten(1)) for step in steps]
    reason = _refusal(covariances, singular)
    totals = [torch.zeros_like(steps[0].total), *(step.total for step in steps[:-1])]
    blocks = tuple(
        _block_term(step, before, covariance, None if reason else _noise(covariance, singular))
        for step, before, covariance in zip(steps, totals, covariances, strict=True)
    )
    return Bound(
        product=_of_terms([block.product for block in blocks], demonstrations, spread),
        tight=_of_terms([block.tight for block in blocks], demonstrations, spread),
        reason=reason,
        blocks=blocks,
    )


def _refusal(covariances: Sequence[Covariance], singular: Singular) -> str | None:
    """Why there is no bound; None where there is one."""
    entries, sets = len(covariances[0].eigenvalues), covariances[0].draws
    if sets < SETS_PER_ENTRY * entries:
        return (
            f"{sets} demonstration sets are too few to estimate C_t of {entries} entries; "
            f"at least {SETS_PER_ENTRY * entries} are needed"
        )
    for t, covariance in enumerate(covariances):
        least = {"refuse": entries, "shrink": 1, "range": 0}[singular]
        if covariance.rank < least:
            return f"C_t of block {t} is singular: it has rank {covariance.rank} of {entries}, and so no logarithm"
    return None


def _noise(covariance: Covariance, singular: Singular) -> Tensor:
    """The eigenvalues of C_t that the bound is made with, all positive."""
    return covariance.eigenvalues[: covariance.rank] if singular == "range" else covariance.shrunk


def _block_term(step: Step, before: Tensor, covariance: Covariance, noise: Tensor | None) -> BlockTerm:
    updates, gradients = step.update.flatten(1).norm(dim=1), step.gradient.flatten(1).norm(dim=1)
    identity = torch.eye(before.shape[-1], dtype=before.dtype, device=before.device)
    products = updates * (identity + before).flatten(1).norm(dim=1)
    return BlockTerm(
        update=float(updates.mean()),
        gradient=float(gradients.mean()),
        rank=covariance.rank,
        shrinkage=covariance.shrinkage,
        product=None if noise is None else _term(products, noise),
        tight=None if noise is None else _term(gradients, noise),
    )


def _term(norms: Tensor, noise: Tensor) -> float:
    """``E[d log((norm² + tr C) / d)] - tr log C``, over the sets; 0 for d = 0."""
    d = len(noise)
    spread = ((norms.square() + noise.sum()) / max(d, 1)).log().mean() if d else 0.0
    return float(d * spread - noise.log().sum())


def _of_terms(terms: Sequence[float | None], demonstrations: int, spread: float) -> float | None:
    """The bound that the terms make, None where they make none. Rounding may leave a sum just below 0."""
    known = [term for term in terms if term is not None]
    return spread * (max(sum(known), 0.0) / demonstrations) ** 0.5 if len(known) == len(terms) else None
