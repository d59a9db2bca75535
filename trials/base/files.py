"""Whole files or none: drafts put into place by rename, hashes and other notes in the cache, and its folder."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import math
import os
import platform
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.base.os_words import missing_folders, word_os_error

log = logging.getLogger(__name__)
DEFAULT_LIMIT_GIB = "200"
READ_WHOLE_BYTES = 2**20
SAMPLED_BLOCKS, BLOCK_BYTES = 32, 2**14  # half a MiB of a large file, its head and tail among them
UNSYNCED = {errno.EINVAL, errno.ENOTSUP, errno.ENOSYS, errno.EBADF, errno.EACCES, errno.EPERM}  # no sync of folders


def default_cache() -> Path:
    """Folder for factors, converted checkpoints and file hashes: ``$CLIPSWEEP_CACHE``, else the user's cache folder."""
    named = os.environ.get("CLIPSWEEP_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "clipsweep"


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, where they are missing; when this returns their names are on disk."""
    made = missing_folders(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for each in made:
        sync_folder(each.parent)


def sync_folder(folder: Path) -> None:
    """Flush to disk which names a folder holds; a new name is else lost when the power fails, however whole its file.

    Where a file system has no such flush, or a user may not ask for it, its own care has to do.
    """
    try:
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as error:
        if error.errno not in UNSYNCED:
            raise OSError(error.errno, error.strerror, str(folder)) from error


@contextmanager
def whole_file(path: Path, *, within: Path | None = None) -> Iterator[Path]:
    """Yield a hidden draft beside ``path`` and put it into place on success; remove it otherwise.

    After the block the content and the name are on disk: neither is lost when the power fails.

    Args:
        path: The file.
        within: A folder that must be there, so that one which was removed is not made anew; None for no such folder.

    Raises:
        OSError: The operating system refuses something; the error names ``path``, not the draft.
    """
    draft = path.parent / f".draft-{uuid.uuid4().hex}-{path.name}"
    try:
        if within is not None and not within.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(within))
        make_folder(path.parent)
        yield draft
        with draft.open("rb") as written:
            os.fsync(written.fileno())
        os.replace(draft, path)
    except OSError as error:
        if error.errno is None or error.filename not in {None, draft, str(draft)}:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
    finally:
        with suppress(OSError):  # of a folder that is gone, or a disk that can only be read: the first error counts
            draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_text(path: Path, text: str, *, within: Path | None = None) -> None:
    """Write a text file whole; arguments as ``whole_file`` takes them."""
    with whole_file(path, within=within) as draft:
        draft.write_text(text, encoding="utf-8")


def write_note(path: Path, content: Mapping[str, Any]) -> None:
    """Write down what was found out once, with a checksum; on a full disk it is found out again the next time."""
    try:
        write_text(path, json.dumps({"content": content, "checksum": _checksum(content)}))
    except OSError as error:
        _tell_unkept(path.parent, word_os_error(error, None, path))


_told: set[Path] = set()


def _tell_unkept(folder: Path, reason: str) -> None:
    """Say once of a folder that notes cannot be kept in it."""
    if folder not in _told:
        _told.add(folder)
        log.warning("a note cannot be kept in the cache, so it is made again next time (%s)", reason)


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
