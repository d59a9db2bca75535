"""The statements of the paper's Examples 1 to 4, and those that one might read into them, with both of their sides."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

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
