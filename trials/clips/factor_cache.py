"""SVD factors: each swept matrix is factored once and cached on disk by a fingerprint of its weights."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.base.files import factors_limit_bytes, whole_file

LAYOUT = "2"  # 1 had no checksum
FINGERPRINT_LENGTH = 32
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """Thin SVD of a matrix ``(rows, cols)``, float32, contiguous.

    Attributes:
        u: Shape ``(rows, k)`` with ``k = min(rows, cols)``.
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
        return (self.u[:, :rank] * self.s[:rank]) @ self.vh[:rank]


class FactorCache:
    """The factors of one model's original weights: in memory, else on disk, else computed by whoever is first.

    A lock for each matrix keeps replicas and studies from repeating each other's work. One cache serves one thread.
    """

    def __init__(self, cache: Path, *, memory_bytes: int = 2**30, limit_bytes: float | None = None) -> None:
        """Keep factors under ``cache``, which replicas and studies may share.

        Args:
            cache: The folder on disk.
            memory_bytes: Most that is kept in memory, on the weights' device; the last factors always are.
            limit_bytes: Most that is kept on disk; by default ``$CLIPSWEEP_FACTORS_GIB``, else 200 GiB.

        Raises:
            SpecError: The environment variable is not a positive number.
        """
        self._folder = cache / "factors"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._memory_bytes = memory_bytes
        self._limit_bytes = factors_limit_bytes() if limit_bytes is None else limit_bytes
        self._fingerprints: dict[str, str] = {}
        self._kept: dict[str, Factors] = {}  # by fingerprint, the most recently used last

    def get(self, weight: Tensor, name: str) -> Factors:
        """Return the exact SVD of ``weight``, on its device.

        A damaged or foreign file is reported, replaced, and never used. Factors that cannot be written are used.

        Args:
            weight: Shape ``(rows, cols)``, floating point, as the model holds it before any clip.
            name: What messages call the matrix. Its weights are hashed the first time only, for the original weights
                of a replica never change: a name must always come with the same weights.

        Raises:
            EvaluationError: The weights are not finite, or have no finite SVD.
        """
        fingerprint = self._fingerprint(weight, name)
        factors = self._kept.pop(fingerprint, None)
        if factors is None:
            factors = self._read_or_compute(weight, name, fingerprint)
        self._kept[fingerprint] = factors
        while len(self._kept) > 1 and sum(kept.n_bytes for kept in self._kept.values()) > self._memory_bytes:
            del self._kept[next(iter(self._kept))]
        return factors

    def singular_values(self, weight: Tensor, name: str) -> Tensor:
        """All singular values of ``weight``, largest first: those of its factors where they are kept, else computed.

        Args:
            weight: As for ``get``.
            name: As for ``get``.

        Returns:
            Shape ``(min(rows, cols),)``, float32. Of equal weights, factors and values computed alone may differ in
            their last bits.

        Raises:
            EvaluationError: As for ``get``.
        """
        fingerprint = self._fingerprint(weight, name)
        factors = self._kept.get(fingerprint) or _read(self._path(fingerprint), fingerprint, weight, name)
        return compute_singular_values(weight, name) if factors is None else factors.s

    def _fingerprint(self, weight: Tensor, name: str) -> str:
        if name not in self._fingerprints:
            self._fingerprints[name] = _hash(weight)
        return self._fingerprints[name]

    def _path(self, fingerprint: str) -> Path:
        return self._folder / fingerprint[:2] / f"{fingerprint}.safetensors"

    def _read_or_compute(self, weight: Tensor, name: str, fingerprint: str) -> Factors:
        path = self._path(fingerprint)
        factors = _read(path, fingerprint, weight, name)
        if factors is not None:
            return factors
        with _locked(path, name):
            factors = _read(path, fingerprint, weight, name)
            if factors is None:
                factors = compute_factors(weight, name)
                _write(path, fingerprint, factors, name)
        self._make_room(path)
        return factors

    def _make_room(self, newest: Path) -> None:
        """Delete the least recently used files until the folder fits; pass over ``newest`` and those in use.

        Drafts count as well: one whose lock is free was left by a process that was killed.
        """
        found = []
        for path in self._folder.glob("*/*.safetensors"):
            with suppress(FileNotFoundError):  # another process makes room
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        excess = sum(size for _, size, _ in found) - self._limit_bytes
        for _, size, path in sorted(found):
            if excess <= 0:
                break
            if path == newest:
                continue
            with suppress(OSError), FileLock(_lock_path(path), timeout=0):  # a lock that is held is an OSError too
                path.unlink(missing_ok=True)
                _lock_path(path).unlink()
                excess -= size
                log.info("deleted %s: the factors on disk exceed %.3g GiB", path, self._limit_bytes / 2**30)


def compute_factors(weight: Tensor, name: str) -> Factors:
    """Thin SVD by ``torch.linalg.svd`` in float32, or in float64 if that does not converge; nothing is random.

    Raises:
        EvaluationError: The weights are not finite, or have no finite SVD.
    """
    weight = _finite(weight, name)
    factors = _svd(weight.float())
    if factors is None:
        _warn_of_retry(name)
        factors = _svd(weight.double(), driver=_slowest_driver(weight))
    if factors is None:
        raise _no_svd(weight, name)
    return factors


def compute_singular_values(weight: Tensor, name: str) -> Tensor:
    """Singular values alone, by ``torch.linalg.svdvals`` in float32, or in float64 if that does not converge.

    Returns:
        Shape ``(min(rows, cols),)``, float32, largest first, none negative.

    Raises:
        EvaluationError: The weights are not finite, or have no finite SVD.
    """
    weight = _finite(weight, name)
    values = _svdvals(weight.float())
    if values is None:
        _warn_of_retry(name)
        values = _svdvals(weight.double(), driver=_slowest_driver(weight))
    if values is None:
        raise _no_svd(weight, name)
    return values


def _finite(weight: Tensor, name: str) -> Tensor:
    """The weights without their gradient; refused unless finite."""
    weight = weight.detach()
    if n_bad := int((~torch.isfinite(weight)).sum()):
        raise EvaluationError(
            f"{name} has {n_bad} weights of {weight.numel()} that are not finite; expected finite numbers only. "
            f"Set model.dtype: float32, or fetch the checkpoint again."
        )
    return weight


def _warn_of_retry(name: str) -> None:
    log.warning("the SVD of %s does not converge in float32; it is computed in float64", name)


def _slowest_driver(weight: Tensor) -> str | None:
    """What torch's documentation calls the slowest and most precise of the CUDA drivers; the CPU has no choice."""
    return "gesvd" if weight.is_cuda else None


def _no_svd(weight: Tensor, name: str) -> EvaluationError:
    return EvaluationError(
        f"the SVD of {name} converges neither in float32 nor in float64; expected finite factors. Fetch the "
        f"checkpoint again if its largest weight ({float(weight.abs().max()):g}) is wrong, or clip other matrices."
    )


def _svdvals(weight: Tensor, driver: str | None = None) -> Tensor | None:
    """Singular values, rounded to float32; None if they do not converge to finite numbers."""
    try:
        values = torch.linalg.svdvals(weight, driver=driver).float()
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return None
    return values.clamp_min(0) if bool(torch.isfinite(values).all()) else None


def _svd(weight: Tensor, driver: str | None = None) -> Factors | None:
    """Thin SVD, rounded to float32; None if it does not converge to finite numbers."""
    try:
        exact = torch.linalg.svd(weight, full_matrices=False, driver=driver)
    except torch.linalg.LinAlgError:  # type: ignore[attr-defined]
        return None
    # Contiguous, as they come from disk: products of another memory layout differ in their last bits.
    u, s, vh = (tensor.float().contiguous() for tensor in exact)
    return Factors(u=u, s=s, vh=vh) if all(bool(torch.isfinite(tensor).all()) for tensor in (u, s, vh)) else None


def _hash(*tensors: Tensor) -> str:
    """Hash shapes, dtypes and bytes: 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{tuple(plain.shape)} {plain.dtype} ".encode())
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def _lock_path(path: Path) -> Path:
    """The lock of a factor file, or of a draft of it: both names end in the fingerprint."""
    return path.with_name(f"{path.stem[-FINGERPRINT_LENGTH:]}.lock")


@contextmanager
def _locked(path: Path, name: str) -> Iterator[None]:
    """Hold the lock of a factor file; where none can be had, say so and go on without."""
    with ExitStack() as held:
        try:
            path.parent.mkdir(exist_ok=True)
            held.enter_context(FileLock(_lock_path(path)))
        except OSError as error:
            log.warning("no lock for the factors of %s (%s); others may compute them at the same time", name, error)
        yield


def _write(path: Path, fingerprint: str, factors: Factors, name: str) -> None:
    """Write factors whole; on a full disk report it, and leave nothing."""
    tensors = {"u": factors.u.cpu(), "s": factors.s.cpu(), "vh": factors.vh.cpu()}
    note = {"layout": LAYOUT, "fingerprint": fingerprint, "checksum": _hash(*tensors.values())}
    try:
        with whole_file(path) as draft:
            # Not save_file: its own temporary file outlives a killed process, and no other user can read the result.
            draft.write_bytes(save(tensors, metadata=note))
    except OSError as error:
        log.warning("the factors of %s are used but cannot be kept in %s (%s); free some disk", name, path, error)


def _read(path: Path, fingerprint: str, weight: Tensor, name: str) -> Factors | None:
    """Read factors that fit ``weight``; None if there are none, or none to be trusted."""
    try:
        with suppress(OSError):  # a file of another user, or none
            os.utime(path)  # the latest used is the last that is deleted
        with safe_open(path, framework="pt") as stored:
            note = stored.metadata() or {}
            # Copies: a mapped page of a file that another node deletes would kill the process.
            tensors = {field: stored.get_tensor(field).clone() for field in stored.keys()}  # noqa: SIM118
        fault = _fault(note, tensors, fingerprint, weight)
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as error:
        fault = f"cannot be read ({error})"
    if fault:
        log.warning("the factors of %s in %s %s; they are computed again", name, path, fault)
        return None
    return Factors(**{field: tensor.to(weight.device) for field, tensor in tensors.items()})


def _fault(note: dict[str, str], tensors: dict[str, Tensor], fingerprint: str, weight: Tensor) -> str | None:
    """What is wrong with stored factors, if anything."""
    if note.get("layout") != LAYOUT:
        return f"have layout {note.get('layout')}, not {LAYOUT}"
    if note.get("fingerprint") != fingerprint:
        return "were made from other weights"
    rows, cols = weight.shape
    shapes = {"u": (rows, min(rows, cols)), "s": (min(rows, cols),), "vh": (min(rows, cols), cols)}
    if {field: tuple(tensor.shape) for field, tensor in tensors.items()} != shapes:
        return "have other shapes than their weights"
    if note.get("checksum") != _hash(*(tensors[field] for field in shapes)):  # the dtype is hashed as well
        return "are damaged (their checksum is another)"
    return None
