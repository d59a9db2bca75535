"""A covariance estimated from draws: the sample's, and that of Ledoit and Wolf, which can be inverted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SINGULAR = (
    1e-10  # an eigenvalue is zero below this share of the largest; clips are made by a float32 SVD, which leaves 1e-14
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Covariance:
    """Of vectors with ``d`` entries.

    Attributes:
        eigenvalues: Of the sample covariance, shape ``(d,)``, float64, largest first.
        mean_variance: Their mean, ``tr S / d``.
        shrinkage: Ledoit and Wolf's, in [0, 1]: their estimate is ``(1 - shrinkage) S + shrinkage (tr S / d) 1``.
        draws: Number of vectors that it was estimated from.
    """

    eigenvalues: Tensor
    mean_variance: float
    shrinkage: float
    draws: int

    @property
    def rank(self) -> int:
        """Eigenvalues above rounding: above ``SINGULAR`` of the largest."""
        return int((self.eigenvalues > SINGULAR * self.eigenvalues[0]).sum())

    @property
    def shrunk(self) -> Tensor:
        """Eigenvalues of the shrunk estimate, shape ``(d,)``; their sum is that of the sample's."""
        return (1 - self.shrinkage) * self.eigenvalues.clamp_min(0) + self.shrinkage * self.mean_variance


def estimate_covariance(vectors: Tensor) -> Covariance:
    """The sample covariance of some vectors, and how much Ledoit and Wolf shrink it towards equal variances.

    Their estimator asks for four moments and for no normal distribution, which products of hidden states have not.

    Args:
        vectors: Shape ``(draws, d)``, float64, any device; at least two draws. Their mean is taken off.

    Source:
        Ledoit and Wolf (2004), A well-conditioned estimator for large-dimensional covariance matrices, Journal of
        Multivariate Analysis 88, section 3: ``noise`` and ``distance`` are its β² and δ².
    """
    draws, d = vectors.shape
    centred = vectors - vectors.mean(0)
    sample = centred.T @ centred / draws
    mean_variance = float(sample.trace()) / d
    distance = float((sample - mean_variance * torch.eye(d, dtype=sample.dtype, device=sample.device)).square().sum())
    # Σ_i |x_i x_iᵀ - S|² / draws² = (Σ_i |x_i|⁴ / draws - |S|²) / draws
    noise = (float(centred.square().sum(1).square().mean()) - float(sample.square().sum())) / draws
    shrinkage = 1.0 if distance <= 0 else min(1.0, max(0.0, noise / distance))
    return Covariance(
        eigenvalues=torch.linalg.eigvalsh(sample).flip(0),
        mean_variance=mean_variance,
        shrinkage=shrinkage,
        draws=draws,
    )
