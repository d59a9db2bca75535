"""SVD factors: each swept matrix is factored once and cached on disk by a fingerprint of its weights."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock
from torch import Tensor

from clipsweep.trials.base.files import factors_limit_bytes
from clipsweep.trials.base.os_words import word_os_error
from clipsweep.trials.clips.factor_files import hash_tensors, lock_path, locked, read_factors, write_factors
from clipsweep.trials.clips.factors import Factors, compute_factors, compute_singular_values

log = logging.getLogger(__name__)


class FactorCache:
    """The factors of one model's original weights: in memory, else on disk, else computed by whoever is first.

    A lock for each matrix keeps replicas and studies from repeating each other's work. One cache serves one thread.

    Attributes:
        n_found: How often factors were on disk.
        n_computed: How often they had to be computed.
        svd_seconds: What that took.
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
        self.n_found = self.n_computed = 0
        self.svd_seconds = 0.0
        self._fingerprints: dict[str, str] = {}
        self._can_keep = True  # until the disk refuses one; then no more are tried, and nothing is said again
        self._kept: dict[str, Factors] = {}  # by fingerprint or another key, the most recently used last

    def get(self, weight: Tensor, name: str) -> Factors:
        """Return the exact SVD of ``weight``, on its device.

        A damaged or foreign file is reported, replaced, and never used. Factors that cannot be written are used; it is
        reported once.

        Args:
            weight: Shape ``(rows, cols)``, floating point, as the model holds it before any clip.
            name: What messages call the matrix. Its weights are hashed the first time only, for the original weights
                of a replica never change: a name must always come with the same weights.

        Raises:
            EvaluationError: The weights are not finite, or have no finite SVD.
        """
        fingerprint = self._fingerprint(weight, name)
        return self.keep(fingerprint, lambda: self._read_or_compute(weight, name, fingerprint))

    def keep(self, key: str, make: Callable[[], Factors]) -> Factors:
        """Return factors that are kept in memory alone; made again where others took their room.

        Args:
            key: Names them.
            make: Makes them.
        """
        factors = self._kept.pop(key, None)
        if factors is None:
            self._forget(least=0)  # first, so that one matrix's are held where no more may be
            factors = make()
        self._kept[key] = factors
        self._forget(least=1)
        return factors

    def _forget(self, *, least: int) -> None:
        """Drop the least recently used factors until the rest may be kept in memory, or so few are left."""
        while len(self._kept) > least and sum(kept.n_bytes for kept in self._kept.values()) > self._memory_bytes:
            del self._kept[next(iter(self._kept))]

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
        factors = self._kept.get(fingerprint) or read_factors(self._path(fingerprint), fingerprint, weight, name)
        return compute_singular_values(weight, name) if factors is None else factors.s

    def _fingerprint(self, weight: Tensor, name: str) -> str:
        if name not in self._fingerprints:
            self._fingerprints[name] = hash_tensors(weight)
        return self._fingerprints[name]

    def _path(self, fingerprint: str) -> Path:
        return self._folder / fingerprint[:2] / f"{fingerprint}.safetensors"

    def _read_or_compute(self, weight: Tensor, name: str, fingerprint: str) -> Factors:
        path = self._path(fingerprint)
        factors = read_factors(path, fingerprint, weight, name)
        if factors is not None:
            self.n_found += 1
            return factors
        if not self._can_keep:
            return self._compute(weight, name)
        with locked(path, name):
            factors = read_factors(path, fingerprint, weight, name)
            if factors is None:
                factors = self._compute(weight, name)
                self._can_keep = write_factors(path, fingerprint, factors, name)
            else:
                self.n_found += 1
        self._make_room(path)
        return factors

    def _compute(self, weight: Tensor, name: str) -> Factors:
        began = time.perf_counter()
        factors = compute_factors(weight, name)
        self.n_computed += 1
        self.svd_seconds += time.perf_counter() - began
        return factors

    def _make_room(self, newest: Path) -> None:
        """Delete the least recently used files until the folder fits; pass over ``newest`` and those in use.

        Drafts count as well: one whose lock is free was left by a process that was killed.
        """
        try:
            found = self._look_around()
        except OSError as error:
            log.warning("no room is made for factors: %s", word_os_error(error, f"looking into {self._folder}"))
            return
        excess = sum(size for _, size, _ in found) - self._limit_bytes
        for _, size, path in sorted(found):
            if excess <= 0:
                break
            if path == newest:
                continue
            with suppress(OSError), FileLock(lock_path(path), timeout=0):  # a lock that is held is an OSError too
                path.unlink(missing_ok=True)
                lock_path(path).unlink()
                excess -= size
                log.info("deleted %s: the factors on disk exceed %.3g GiB", path, self._limit_bytes / 2**30)

    def _look_around(self) -> list[tuple[int, int, Path]]:
        """When each file was last used, its bytes, and the file."""
        found = []
        for path in self._folder.glob("*/*.safetensors"):
            with suppress(FileNotFoundError):  # another process makes room
                found.append((path.stat().st_mtime_ns, path.stat().st_size, path))
        return found
