"""A folder that is there whole or not at all: written beside its place, and renamed into it at the end."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clipsweep.trials.base.errors import PlaceError, WriteError
from clipsweep.trials.base.files import make_folder, sync_folder
from clipsweep.trials.base.os_words import check_folder, word_os_error, worded_as


def check_empty(out: Path) -> None:
    """Refuse a place that something stands in already, or that cannot be written, before anything expensive.

    Raises:
        PlaceError: It is a file, a folder that is not empty or on which a disk is mounted, or cannot be made.
    """
    with worded_as(PlaceError, f"looking at {out}"):
        if os.path.lexists(out) and not out.is_dir():
            raise PlaceError(f"{out} is there and no folder; expected a new folder for the checkpoint. Choose another.")
        if out.is_dir() and (found := sorted(each.name for each in out.iterdir())):
            raise PlaceError(
                f"{out} is not empty: it holds {found[0]}; expected a new folder for the checkpoint, so that nothing "
                f"is written over. Choose another, or remove that one."
            )
        if os.path.ismount(out.resolve()):
            raise PlaceError(
                f"{out} is where a disk is mounted, and the checkpoint is renamed into its place at the end, which the "
                f"system refuses there; expected a new folder. Choose one in it, such as {out / 'clipped'}."
            )
    check_folder(out.resolve().parent, "the folder for the checkpoint")


def check_room(out: Path, n_bytes: int) -> None:
    """Refuse a disk that has too little room.

    Raises:
        PlaceError: It has.
    """
    parent = next(each for each in out.resolve().parents if each.is_dir())
    free = shutil.disk_usage(parent).free
    if free < n_bytes:
        raise PlaceError(
            f"{parent} has {free / 2**20:,.1f} MiB free, and the checkpoint takes {n_bytes / 2**20:,.1f} MiB. "
            f"Free some, or choose another place."
        )


@contextmanager
def draft_folder(out: Path) -> Iterator[Path]:
    """Yield a hidden folder beside ``out`` and rename it into place on success; whatever happens, else it is removed.

    Where ``out`` is a link to an empty folder, that folder is meant, and the link stays.

    Raises:
        WriteError: The operating system refuses something, as on a full disk.
    """
    out = out.resolve()
    draft = out.parent / f".draft-{uuid.uuid4().hex}-{out.name}"
    try:
        make_folder(draft)
        yield draft
        os.rename(draft, out)  # over an empty folder, or where none is
        sync_folder(out.parent)
    except OSError as error:
        if error.errno is None:  # in our words already
            raise
        raise WriteError(word_os_error(error, f"writing {out}", out)) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
