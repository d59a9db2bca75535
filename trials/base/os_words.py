"""What the operating system refuses, in words: what was being done, the path, the reason and the mend."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clipsweep.trials.base.errors import ClipsweepError, PlaceError

CACHE_FOLDERS = ("attentions", "checkpoints", "datasets", "factors", "fits", "hashes", "prompts", "shapes")
LONGEST_PATH = 300  # that a message repeats
OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}  # its free space is told
REASONS = {
    errno.EACCES: ("permission denied", "Change its rights, or choose another place."),
    errno.EPERM: ("permission denied", "Change its rights, or choose another place."),
    errno.EROFS: ("the file system can only be read", "Choose another place."),
    errno.ENOSPC: ("no space is left there", "Free some, or choose another place."),
    errno.EDQUOT: ("your quota is used up there", "Free some, or choose another place."),
    errno.ENOENT: ("no such file or folder", "Look at how the path is spelt."),
    errno.ENOTDIR: ("a part of the path is a file, not a folder", "Give a path that leads through folders."),
    errno.EISDIR: ("it is a folder", "Give the path of a file."),
    errno.EEXIST: ("a file of that name is in the way", "Move it away, or choose another name."),
    errno.ENOTEMPTY: ("a folder of that name is in the way", "Move it away, or choose another name."),
    errno.ENAMETOOLONG: ("the name is too long", "Choose a shorter one."),
    errno.ELOOP: ("its links lead in a circle", "Mend the links."),
    errno.EMFILE: ("too many files are open", "Raise the limit ('ulimit -n')."),
    errno.EIO: ("the disk or network did not answer", "Look at the device, and try again."),
    errno.ESTALE: ("the network's file system lost the file", "Try again."),
}


def word_os_error(error: OSError, doing: str | None = None, path: Path | None = None) -> str:
    """Word an error of the operating system; its own words, such as ``[Errno 13]``, say too little.

    Args:
        error: It.
        doing: What was being done, as in ``"reading study.yaml"``; None where only the error knows.
        path: Of which file, where the error does not know, as when it is written to.
    """
    named = error.filename if error.filename2 is None else error.filename2  # a draft, and what it was to become
    place = path if named is None else Path(os.fsdecode(named))
    if doing is None:
        doing = "reading or writing a file" if place is None else f"using {place}"
    name = "" if place is None else str(place)
    where = "" if name in doing else f" ({name if len(name) <= LONGEST_PATH else f'{name[:80]}…'})"
    own = (error.strerror or str(error) or type(error).__name__).rstrip(".")
    reason, mend = REASONS.get(error.errno or 0, (own[:1].lower() + own[1:], "Look at the path and the device."))
    room = "" if place is None or error.errno not in OF_THE_DISK else _free_space(place)
    return f"{doing} failed: {reason}{where}{room}. {mend}"


def _free_space(path: Path) -> str:
    """How much is free on the disk of a path, for a sentence; nothing where that cannot be asked."""
    there = next((place for place in (path, *path.parents) if place.exists()), None)
    if there is None:
        return ""
    try:
        usage = shutil.disk_usage(there)
    except OSError:  # a disk that does not answer
        return ""
    return f", {usage.free / 2**20:,.1f} of {usage.total / 2**20:,.1f} MiB free"


def check_folder(folder: Path, what: str) -> None:
    """Refuse a folder that could not be made, or not be written, before anything expensive; leaves nothing behind.

    Args:
        folder: It, there or not.
        what: What it is for, as messages say it.

    Raises:
        PlaceError: It is a file, lies below one, or may not be made or written.
    """
    missing = missing_folders(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            tempfile.TemporaryFile(dir=folder).close()
        finally:
            remove_empty(missing)
    except OSError as error:
        refused = OSError(error.errno, error.strerror, str(folder))  # not the file that it was tried with
        raise PlaceError(word_os_error(refused, f"making {what}, {folder},")) from error


def missing_folders(folder: Path) -> list[Path]:
    """The folder and those above it that are not there, from the deepest up."""
    return [each for each in (folder, *folder.parents) if not os.path.lexists(each)]


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove folders from the deepest up, but none that another process has put something into by now."""
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:
            return


def check_output(path: Path, what: str) -> None:
    """Refuse a file that could not be written, before what it shall hold is made.

    Raises:
        PlaceError: It is a folder, or ``check_folder`` refuses the folder that it lies in.
    """
    if path.is_dir():
        raise PlaceError(f"{path} is a folder; expected the path of a file for {what}, as in {path / 'NAME'}.")
    check_folder(path.parent, f"the folder for {what}")


def check_cache(cache: Path) -> None:
    """Refuse a cache folder that could not be written, or in which a file stands where a folder belongs.

    Raises:
        PlaceError: As ``check_folder``; or the file.
    """
    check_folder(cache, "the cache folder (CLIPSWEEP_CACHE)")
    for folder in (cache / name for name in CACHE_FOLDERS):
        if os.path.lexists(folder) and not folder.is_dir():
            raise PlaceError(f"{folder} is no folder; expected one of the cache, or nothing. Remove it.")


@contextmanager
def worded_as(kind: type[ClipsweepError], doing: str | None = None) -> Iterator[None]:
    """Take what the operating system refuses inside the block for an error of ours, in words.

    Args:
        kind: The error to raise in its place; errors of ours that are raised inside pass as they are, and so does that
            of a reader who has gone away.
        doing: As ``word_os_error`` takes it.
    """
    try:
        yield
    except (ClipsweepError, BrokenPipeError):
        raise
    except OSError as error:
        raise kind(word_os_error(error, doing)) from error
