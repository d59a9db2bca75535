"""One process runs a study; others are told which."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from clipsweep.orchestrator.folder.stored import read_json
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.errors import StoreError, StudyBusyError
from clipsweep.trials.base.files import write_text
from clipsweep.trials.base.os_words import missing_folders, remove_empty

LOOK_SECONDS = 0.5  # longer than another process needs to look whether the lock is held


@contextmanager
def study_lock(folder: StudyFolder) -> Iterator[None]:
    """Hold the study; the operating system lets go when the process dies, however it dies.

    Raises:
        StudyBusyError: Another process holds it.
    """
    made = missing_folders(folder.path)
    folder.path.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.lock)
    holder = folder.holder
    try:
        lock.acquire(timeout=LOOK_SECONDS)
    except Timeout as error:
        who = _read_holder(holder)
        raise StudyBusyError(
            f"{folder} is being run by process {who.get('pid', '?')} on {who.get('node', '?')} "
            f"since {who.get('since', '?')}. Wait for it, or watch it with 'clipsweep status {folder}'."
        ) from error
    try:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        write_text(holder, json.dumps({"pid": os.getpid(), "node": platform.node(), "since": since}))
        yield
    finally:
        lock.release()
        _leave_no_empty_folder(folder, made)


def _read_holder(path: Path) -> dict[str, Any]:
    """Which process it is, as far as is known: the note may be gone or damaged, and the study is held all the same."""
    try:
        return read_json(path, "") if path.exists() else {}
    except StoreError:
        return {}


def _leave_no_empty_folder(folder: StudyFolder, made: Sequence[Path]) -> None:
    """Remove what locking made where no study came of it: replicas could not be had, say."""
    if folder.leftovers_of_lock():
        shutil.rmtree(folder.path)
        remove_empty(path for path in made if path != folder.path)


def is_locked(folder: StudyFolder) -> bool:
    """Whether a process runs the study now."""
    if not folder.lock.exists():
        return False
    if not os.access(folder.lock, os.W_OK):  # a study shared for reading: who holds it cannot be known
        return False
    lock = FileLock(folder.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    lock.release()
    return False
