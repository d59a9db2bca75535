"""The singular value decomposition of a matrix, and its singular values alone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from clipsweep.trials.base.errors import EvaluationError

log = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Thin SVD of a matrix ``(rows, cols)``, float32, contiguous.

    Attributes:
        u: Shape ``(rows, k)`` with ``k = min(rows, cols)``, or fewer of a part.
        s: Shape ``(k,)``, largest first.
        vh: Shape ``(k, cols)``.
    """

    u: Tensor
    s: Tensor
    vh: Tensor

    @property
    def n_bytes(self) -> int:
        """Size in memory."""
        return self.u.nbytes + self.s.nbytes + self.vh.nbytes

    def low_rank(self, rank: int) -> Tensor:
        """Nearest matrix of ``rank`` in Frobenius norm (Eckart and Young, 1936): one product, float32."""
        return self.between(0, rank)

    def between(self, first: int, end: int) -> Tensor:
        """The part of the matrix that has the singular values from ``first`` to before ``end``, largest first."""
        return (self.u[:, first:end] * self.s[first:end]) @ self.vh[first:end]

    def without(self, first: int, end: int) -> Factors:
        """Those of the matrix that lacks the singular values from ``first`` to before ``end``: so many fewer."""
        return Factors(
            u=torch.cat([self.u[:, :first], self.u[:, end:]], dim=1),
            s=torch.cat([self.s[:first], self.s[end:]]),
            vh=torch.cat([self.vh[:first], self.vh[end:]]),
        )

    def thin(self, rank: int) -> tuple[Tensor, Tensor]:
        """The matrix of ``low_rank`` as a product of two, each with the square roots of the singular values.

        Returns:
            Shapes ``(rows, rank)`` and ``(rank, cols)``, float32, of about the same size in norm, so that half
            precision takes both.
        """
        root = self.s[:rank].sqrt()
        return self.u[:, :rank] * root, root[:, None] * self.vh[:rank]


def compute_factors(weight: Tensor, name: str) -> Factors:
    """Thin SVD by ``torch.linalg.svd`` in float32, or in float64 if that does not converge; nothing is random.

    Raises:
        EvaluationError: The weights are not finite, or have no finite SVD.
    """
    return _converged(_svd, weight, name)


def compute_singular_values(weight: Tensor, name: str) -> Tensor:
    """Singular values alone, by ``torch.linalg.svdvals`` in float32, or in float64 if that does not converge.

    Returns:
        Shape ``(min(rows, cols),)``, float32, largest first, none negative.

    Raises:
        EvaluationError: The weights are not finite, or have no finite SVD.
    """
    return _converged(_svdvals, weight, name)


def compute_exact_values(weight: Tensor, name: str) -> Tensor:
    """Singular values alone, by ``torch.linalg.svdvals`` in float64: several times as slow as in float32.

    Returns:
        Shape ``(min(rows, cols),)``, float64, largest first, none negative.

    Raises:
        EvaluationError: The weights are not finite, or have no finite SVD.
    """
    weight = finite(weight, name)
    values = _svdvals(weight.double(), _slowest_driver(weight), torch.float64)
    if values is None:
        raise _no_svd(weight, name)
    return values


def _converged(decompose: Callable[[Tensor, str | None], Result | None], weight: Tensor, name: str) -> Result:
    """What ``decompose`` makes of a finite weight in float32, or in float64 if float32 does not converge."""
    weight = finite(weight, name)
    result = decompose(weight.float(), None)
    if result is None:
        log.warning("the SVD of %s does not converge in float32; it is computed in float64", name)
        result = decompose(weight.double(), _slowest_driver(weight))
    if result is None:
        raise _no_svd(weight, name)
    return result


def finite(weight: Tensor, name: str) -> Tensor:
    """The weights without their gradient.

    Raises:
        EvaluationError: They are not finite.
    """
    weight = weight.detach()
    if n_bad := int((~torch.isfinite(weight)).sum()):
        raise EvaluationError(
            f"{name} has {n_bad} weights of {weight.numel()} that are not finite; expected finite numbers only. "
            f"Set model.dtype: float32, or fetch the checkpoint again."
        )
    return weight


def _slowest_driver(weight: Tensor) -> str | None:
    """What torch's documentation calls the slowest and most precise of the CUDA drivers; the CPU has no choice."""
    return "gesvd" if weight.is_cuda else None


def _no_svd(weight: Tensor, name: str) -> EvaluationError:
    return EvaluationError(
        f"the SVD of {name} converges neither in float32 nor in float64; expected finite factors. Fetch the "
        f"checkpoint again if its largest weight ({float(weight.abs().max()):g}) is wrong, or clip other matrices."
    )


def _svdvals(weight: Tensor, driver: str | None, dtype: torch.dtype = torch.float32) -> Tensor | None:
    """Singular values, rounded to ``dtype``; None if they do not converge to finite numbers."""
    try:
        values = torch.linalg.svdvals(weight, driver=driver).to(dtype)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return None
    return values.clamp_min(0) if bool(torch.isfinite(values).all()) else None


def _svd(weight: Tensor, driver: str | None) -> Factors | None:
    """Thin SVD, rounded to float32; None if it does not converge to finite numbers."""
    try:
        exact = torch.linalg.svd(weight, full_matrices=False, driver=driver)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return None
    # Contiguous, as they come from disk: products of another memory layout differ in their last bits.
    u, s, vh = (tensor.float().contiguous() for tensor in exact)
    return Factors(u=u, s=s, vh=vh) if all(bool(torch.isfinite(tensor).all()) for tensor in (u, s, vh)) else None
