"""Whole files or none: drafts put into place by rename, hashes and other notes in the cache, and its folder."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import SpecError

DEFAULT_LIMIT_GIB = "200"
READ_WHOLE_BYTES = 2**20
SAMPLED_BLOCKS, BLOCK_BYTES = 32, 2**14  # half a MiB of a large file, its head and tail among them


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


def write_note(path: Path, content: Mapping[str, Any]) -> None:
    """Write down what was found out once, with a checksum."""
    write_text(path, json.dumps({"content": content, "checksum": _checksum(content)}))


def read_note(path: Path) -> dict[str, Any] | None:
    """What a note says; None where there is none, or one that is torn or changed, which is not believed."""
    try:
        note = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):  # whatever the reason, it is found out anew
        return None
    if not isinstance(note, dict) or not isinstance(note.get("content"), dict):
        return None
    content: dict[str, Any] = note["content"]
    return content if note.get("checksum") == _checksum(content) else None


def file_hash(path: Path, cache: Path, *, verify: bool = False) -> str:
    """SHA-256 of a file. A small file is read whole each time; that of a large one is remembered in ``cache``.

    It is believed while path, host, device, inode, size, both times and a sample of the content are the same. Times
    alone would not do: ``cp -p``, archives and images of machines keep or normalise them. The host is named because
    nodes that share a cache may hold other files under one path.

    Args:
        path: The file, or a link to it.
        cache: Where hashes are remembered.
        verify: Whether to read the whole file, whatever is remembered.
    """
    path = path.resolve()
    if path.stat().st_size <= READ_WHOLE_BYTES:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    seen = _marks(path)
    name = hashlib.sha256(f"{seen['host']} {path}".encode()).hexdigest()[:32]
    note = cache / "hashes" / f"{name}.json"
    known = None if verify else read_note(note)
    if known is not None and known.get("seen") == seen:
        return str(known["sha256"])
    with path.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    write_note(note, {"seen": seen, "sha256": digest})
    return digest


def _marks(path: Path) -> dict[str, Any]:
    """What tells a large file from another without reading it."""
    found = path.stat()
    sample = hashlib.sha256()
    with path.open("rb", buffering=0) as opened:
        for number in range(SAMPLED_BLOCKS):
            opened.seek(number * (found.st_size - BLOCK_BYTES) // (SAMPLED_BLOCKS - 1))
            sample.update(opened.read(BLOCK_BYTES))
    return {
        "path": str(path),
        "host": platform.node(),
        "device": found.st_dev,
        "inode": found.st_ino,
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
        "ctime_ns": found.st_ctime_ns,
        "sample": sample.hexdigest(),
    }


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


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
