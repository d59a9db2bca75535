"""SVD factors: each swept matrix is factored once and cached on disk by a fingerprint of its weights."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from trials.errors import EvaluationError
from trials.files import whole_file

LAYOUT = "1"
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Thin SVD of a matrix ``(rows, cols)``, float32.

    Attributes:
        u: Shape ``(rows, k)`` with ``k = min(rows, cols)``.
        s: Shape ``(k,)``, largest first.
        vh: Shape ``(k, cols)``.
    """

    u: Tensor
    s: Tensor
    vh: Tensor

    def low_rank(self, rank: int) -> Tensor:
        """Nearest matrix of ``rank`` in Frobenius norm (Eckart and Young, 1936): one product, float32."""
        return (self.u[:, :rank] * self.s[:rank]) @ self.vh[:rank]


def weight_fingerprint(weight: Tensor) -> str:
    """Hash a matrix's shape, dtype and bytes: 32 hexadecimal digits."""
    plain = weight.detach().cpu().contiguous()
    digest = hashlib.sha256(f"{tuple(plain.shape)} {plain.dtype} ".encode())
    digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:32]


class FactorCache:
    """Factors on disk, computed by whoever needs them first; a lock for each matrix keeps others from repeating it."""

    def __init__(self, cache: Path) -> None:
        """Keep factors under ``cache``, which replicas and studies may share."""
        self._folder = cache / "factors"
        self._folder.mkdir(parents=True, exist_ok=True)

    def get(self, weight: Tensor) -> Factors:
        """Return the exact SVD of ``weight``, on its device.

        A damaged or foreign file is reported, replaced, and never used.

        Args:
            weight: Shape ``(rows, cols)``, floating point, as the model holds it before any clip.

        Raises:
            EvaluationError: The weights are not finite.
        """
        fingerprint = weight_fingerprint(weight)
        path = self._folder / fingerprint[:2] / f"{fingerprint}.safetensors"
        path.parent.mkdir(exist_ok=True)
        if (factors := _read(path, fingerprint, weight)) is not None:
            return factors
        with FileLock(path.with_suffix(".lock")):
            factors = _read(path, fingerprint, weight)
            if factors is None:
                factors = compute_factors(weight)
                _write(path, fingerprint, factors)
        return factors


def compute_factors(weight: Tensor) -> Factors:
    """Thin SVD in float32 by ``torch.linalg.svd``; nothing is random.

    Raises:
        EvaluationError: The weights are not finite.
    """
    if not torch.isfinite(weight).all():
        raise EvaluationError("the weights of a clipped matrix are not finite. Load the checkpoint in another dtype.")
    u, s, vh = torch.linalg.svd(weight.detach().float(), full_matrices=False)
    return Factors(u=u, s=s, vh=vh)


def _write(path: Path, fingerprint: str, factors: Factors) -> None:
    tensors = {name: getattr(factors, name).cpu().contiguous() for name in ("u", "s", "vh")}
    with whole_file(path) as draft:
        save_file(tensors, draft, metadata={"fingerprint": fingerprint, "layout": LAYOUT})


def _read(path: Path, fingerprint: str, weight: Tensor) -> Factors | None:
    """Read factors that fit ``weight``; None if there are none, or none to be trusted."""
    if not path.exists():
        return None
    (rows, cols), device = weight.shape, str(weight.device)
    shapes = {"u": (rows, min(rows, cols)), "s": (min(rows, cols),), "vh": (min(rows, cols), cols)}
    try:
        with safe_open(path, framework="pt", device=device) as stored:
            note = stored.metadata() or {}
            if (note.get("fingerprint"), note.get("layout")) != (fingerprint, LAYOUT):
                log.warning("factors in %s were made from other weights; they are computed again", path)
                return None
            tensors = {name: stored.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError) as error:
        log.warning("factors in %s are damaged (%s); they are computed again", path, error)
        return None
    if any(tensors[name].shape != shape or tensors[name].dtype != torch.float32 for name, shape in shapes.items()):
        log.warning("factors in %s have other shapes than their weights; they are computed again", path)
        return None
    return Factors(**tensors)
