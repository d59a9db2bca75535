"""What a trial says of the implicit gradient descent that the paper explains in-context learning by."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class ImplicitNorms:
    """Norms of the implicit updates that a prompt's demonstrations make, block by block, under a trial's weights.

    Each tuple has one value for each block, in their order: the natural log of a Frobenius norm, minus infinity where
    the matrix is zero, None where a block has no attention that can be measured, or where memory ran out over it.

    Attributes:
        delta_w: Of ``ΔW_t``, attention taken to be linear (Lemma 1).
        delta_w_softmax: Of ``ΔW_t`` in the feature space of the softmax kernel (appendix A.2).
        implicit_gradient: Of ``G_t = ΔW_t (1 + W_{t-1})`` (Theorem 1), attention taken to be linear.
        seconds: Wall time that measuring took, with an equal part of what trials that ran together measured together.

    Source:
        Yao et al. (2024), arXiv 2406.03768.
    """

    delta_w: tuple[float | None, ...]
    delta_w_softmax: tuple[float | None, ...]
    implicit_gradient: tuple[float | None, ...]
    seconds: float

    def after(self, seconds: float) -> ImplicitNorms:
        """The same norms, after measuring has taken so many seconds before."""
        return replace(self, seconds=self.seconds + seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialNorms:
    """What measuring a trial's demonstrations gave, apart from its scores.

    Attributes:
        trial_id: Of the trial.
        norms: None where its prompts have nothing to measure, or where it failed.
        error: Why it failed; None where it did not.
    """

    trial_id: str
    norms: ImplicitNorms | None
    error: str | None = None
