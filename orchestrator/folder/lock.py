"""One process runs a study; others are told which."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipsweep.analysis.store.fence import newest_token
from clipsweep.orchestrator.claims.claims import Claims
from clipsweep.orchestrator.claims.hold import Hold, hold
from clipsweep.orchestrator.claims.holder import Holder, read_claim_holder
from clipsweep.orchestrator.claims.watch import busy
from clipsweep.orchestrator.folder.stored import read_json
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.words import Say, say_nothing
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.files import make_folder
from clipsweep.trials.base.os_words import missing_folders, remove_empty

LOOK_SECONDS = 0.5  # longer than another process needs to look whether the lock is held


@contextmanager
def study_lock(folder: StudyFolder, say: Say = say_nothing) -> Iterator[Hold]:
    """Hold the study inside the block.

    It is free again when the block ends, and when the process dies, however it dies: seen at once on the same machine,
    and by its silence on others. That needs no lock of the operating system; many network file systems have none.

    Args:
        folder: Of the study.
        say: Shows the user what is waited for, where it is not known whether the process that holds it lives.

    Raises:
        StudyBusyError: Another process holds it.
    """
    made = missing_folders(folder.path)
    make_folder(folder.path)
    claims = Claims(folder.claims)
    with _locked(folder), hold(claims, str(folder), lambda: newest_token(folder.trials), say) as held:
        folder.holder.unlink(missing_ok=True)  # of an earlier version, which has ended
        try:
            yield held
        finally:
            _leave_no_empty_folder(folder, claims, held, made)


def read_holder(folder: StudyFolder) -> Holder | None:
    """Which process runs the study, or ran it and did not let go; None where none does. Nothing is written.

    Raises:
        OSError: The claims may not be read.
    """
    holder = read_claim_holder(Claims(folder.claims))
    if holder is not None or not folder.holder.exists() or not _is_refused(folder.lock):
        return holder
    who = _read_older(folder.holder)
    return Holder(pid=who.get("pid"), host=who.get("node"), since=who.get("since"), alive=True)


def is_locked(folder: StudyFolder) -> bool:
    """Whether a process runs the study now, as far as can be told from here."""
    holder = read_holder(folder)
    return holder is not None and holder.seems_alive


@contextmanager
def _locked(folder: StudyFolder) -> Iterator[None]:
    """Hold the lock of the operating system too, if it can be had: earlier versions know no other.

    Raises:
        StudyBusyError: A process of an earlier version holds it.
    """
    opened = _open_lock(folder.lock)
    if opened is None:
        yield
        return
    try:
        until = time.monotonic() + LOOK_SECONDS
        while not (got := _try(opened)) and time.monotonic() < until:
            time.sleep(LOOK_SECONDS / 10)
        if not got and folder.holder.exists():  # else a process that has a claim, which decides
            who = _read_older(folder.holder)
            named = f"process {who.get('pid', '?')} on {who.get('node', '?')} since {who.get('since', '?')}"
            raise busy(str(folder), named)
        yield
    finally:
        os.close(opened)


def _open_lock(path: Path) -> int | None:
    """Open the lock's file; None where it may not be written, as that of another user."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:
        return None


def _try(opened: int) -> bool:
    """Lock a file; True also where the file system has no locks."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks there: nobody else has one
        return True
    return True


def _is_refused(path: Path) -> bool:
    """Whether a process holds the lock; where the file may not be written that cannot be known."""
    if not os.access(path, os.W_OK):
        return False
    opened = os.open(path, os.O_RDWR)
    try:
        return not _try(opened)
    finally:
        os.close(opened)


def _read_older(path: Path) -> dict[str, Any]:
    """Which process it is, as far as is known: the note may be gone or damaged, and the study is held all the same."""
    try:
        return read_json(path, "") if path.exists() else {}
    except StoreError:
        return {}


def _leave_no_empty_folder(folder: StudyFolder, claims: Claims, held: Hold, made: Sequence[Path]) -> None:
    """Remove what locking made where no study came of it: replicas could not be had, say."""
    if not folder.path.exists() or not folder.leftovers_of_lock():
        return
    for path in (folder.status, folder.log, folder.holder, folder.lock):
        path.unlink(missing_ok=True)
    claims.remove_all(held.token)
    remove_empty([folder.path, *(path for path in made if path != folder.path)])
