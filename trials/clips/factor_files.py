"""Factors on disk: one file for each matrix, named after the fingerprint of its weights, whole or absent."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import torch
from filelock import FileLock
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from clipsweep.trials.base.files import whole_file
from clipsweep.trials.base.os_words import word_os_error
from clipsweep.trials.clips.factors import Factors

FORMAT, FORMAT_VERSION = "layout", "2"  # the key that files have; version 1 had no checksum
FINGERPRINT_LENGTH = 32
log = logging.getLogger(__name__)


def hash_tensors(*tensors: Tensor) -> str:
    """Hash shapes, dtypes and bytes: 32 hexadecimal digits."""
    digest = hashlib.sha256()
    for tensor in tensors:
        plain = tensor.detach().cpu().contiguous()
        digest.update(f"{tuple(plain.shape)} {plain.dtype} ".encode())
        digest.update(plain.view(torch.uint8).numpy().data)
    return digest.hexdigest()[:FINGERPRINT_LENGTH]


def lock_path(path: Path) -> Path:
    """The lock of a factor file, or of a draft of it: both names end in the fingerprint."""
    return path.with_name(f"{path.stem[-FINGERPRINT_LENGTH:]}.lock")


@contextmanager
def locked(path: Path, name: str) -> Iterator[None]:
    """Hold the lock of a factor file; where none can be had, say so and go on without."""
    with ExitStack() as held:
        try:
            path.parent.mkdir(exist_ok=True)
            held.enter_context(FileLock(lock_path(path)))
        except OSError as error:
            log.warning("no lock for the factors of %s (%s); others may compute them at the same time", name, error)
        yield


def write_factors(path: Path, fingerprint: str, factors: Factors, name: str) -> bool:
    """Write factors whole; on a full disk report it, and leave nothing.

    Returns:
        Whether they are there.
    """
    tensors = {"u": factors.u.cpu(), "s": factors.s.cpu(), "vh": factors.vh.cpu()}
    note = {FORMAT: FORMAT_VERSION, "fingerprint": fingerprint, "checksum": hash_tensors(*tensors.values())}
    try:
        with whole_file(path) as draft:
            # Not save_file: its own temporary file outlives a killed process, and no other user can read the result.
            draft.write_bytes(save(tensors, metadata=note))
    except OSError as error:
        reason = word_os_error(error, f"keeping the factors of {name} in {path}", path)
        log.warning("%s Until the run ends factors are used without being kept", reason)
        return False
    return True


def read_factors(path: Path, fingerprint: str, weight: Tensor, name: str) -> Factors | None:
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
    except (SafetensorError, OSError, RuntimeError) as error:  # the last of torch, which opens the file once more
        fault = f"cannot be read ({error})"
    if fault:
        log.warning("the factors of %s in %s %s; they are computed again", name, path, fault)
        return None
    return Factors(**{field: tensor.to(weight.device) for field, tensor in tensors.items()})


def _fault(note: dict[str, str], tensors: dict[str, Tensor], fingerprint: str, weight: Tensor) -> str | None:
    """What is wrong with stored factors, if anything."""
    if note.get(FORMAT) != FORMAT_VERSION:
        return f"have format {note.get(FORMAT)}, not {FORMAT_VERSION}"
    if note.get("fingerprint") != fingerprint:
        return "were made from other weights"
    rows, cols = weight.shape
    shapes = {"u": (rows, min(rows, cols)), "s": (min(rows, cols),), "vh": (min(rows, cols), cols)}
    if {field: tuple(tensor.shape) for field, tensor in tensors.items()} != shapes:
        return "have other shapes than their weights"
    if note.get("checksum") != hash_tensors(*(tensors[field] for field in shapes)):  # the dtype is hashed as well
        return "are damaged (their checksum is another)"
    return None
