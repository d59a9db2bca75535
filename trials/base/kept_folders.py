"""Folders that are noticed to go away: removed, renamed, or replaced by others of their names."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

GONE = {errno.ENOENT, errno.ENOTDIR, errno.ESTALE}


class KeptFolders:
    """Folders that are held open while they are used. One that is not there yet is noted when it is first seen.

    An open folder keeps its number on the disk, so that another made in its place is not taken for it.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        """Note the folders that are there."""
        self._opened: dict[Path, int | None] = dict.fromkeys(paths)
        self.gone()

    def gone(self) -> Path | None:
        """The first of the folders that is no longer the one that was noted; None where all are."""
        for path, opened in self._opened.items():
            if opened is None:
                self._opened[path] = _open(path)
            elif not _is_still(path, opened):
                return path
        return None

    def __enter__(self) -> Self:
        """Hold them."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of them."""
        for path, opened in self._opened.items():
            if opened is not None:
                os.close(opened)
                self._opened[path] = None


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        if error.errno not in GONE:
            raise
        return None


def _is_still(path: Path, opened: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(opened))
    except OSError as error:
        if error.errno not in GONE:
            raise
        return False
