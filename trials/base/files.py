"""Whole files or none: drafts put into place by rename, locks, hashes, and the cache folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipsweep.trials.base.errors import SpecError

DEFAULT_LIMIT_GIB = "200"


def default_cache() -> Path:
    """Folder for factors, converted checkpoints and file hashes: ``$CLIPSWEEP_CACHE``, else the user's cache folder."""
    named = os.environ.get("CLIPSWEEP_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipsweep"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a hidden draft beside ``path``; flush it to disk and put it into place on success, remove it otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".draft-{uuid.uuid4().hex}-{path.name}"
    try:
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole."""
    with whole_file(path) as draft:
        draft.write_text(text, encoding="utf-8")


def file_hash(path: Path, cache: Path) -> str:
    """SHA-256 of a file, remembered in ``cache`` by path, size and modification time."""
    path = path.resolve()
    seen = {"path": str(path), "size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
    note = cache / "hashes" / f"{hashlib.sha256(str(path).encode()).hexdigest()[:32]}.json"
    if note.exists():
        known = json.loads(note.read_text(encoding="utf-8"))
        if {key: known.get(key) for key in seen} == seen:
            return str(known["sha256"])
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    write_text(note, json.dumps({**seen, "sha256": digest}))
    return digest


def factors_limit_bytes() -> float:
    """Most that SVD factors may fill on disk: ``$CLIPSWEEP_FACTORS_GIB``, else 200 GiB.

    Raises:
        SpecError: The variable holds no positive number.
    """
    text = os.environ.get("CLIPSWEEP_FACTORS_GIB") or DEFAULT_LIMIT_GIB
    try:
        limit_gib = float(text)
    except ValueError:
        limit_gib = math.nan
    if not 0 < limit_gib < math.inf:
        raise SpecError(
            f"CLIPSWEEP_FACTORS_GIB is {text!r}; expected a positive number, the GiB of disk that SVD factors may "
            f"fill. Set it to one, e.g. 50, or unset it for {DEFAULT_LIMIT_GIB}."
        )
    return limit_gib * 2**30
