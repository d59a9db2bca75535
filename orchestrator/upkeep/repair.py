"""What is damaged is moved aside, into ``damaged/``; what is whole of a file stays."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from clipsweep.analysis.store.blocks import indices_of
from clipsweep.analysis.store.part import read_part
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.upkeep.verify import FileRows, Verified
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.os_words import worded_as

DAMAGED = "damaged"


def repair(opened: OpenStudy, verified: Verified) -> list[str]:
    """Move damaged files, and copies of others, into the study's ``damaged`` folder. Nothing is deleted.

    What is measured beside the rows, such as ``spectrum.parquet``, is measured again by the next run that needs it.

    A file that can be read, and has some rows with faults, is moved as well; a new one keeps its other rows. The study
    must be held, and its table taken over.

    Returns:
        Where each of them lies now, in the study's folder.

    Raises:
        StoreError: The operating system refuses it.
    """
    folder = opened.folder.trials
    with worded_as(StoreError, f"moving damaged files out of {folder}"):
        partly = [rows for rows in verified.rows if rows.wrong.any() and not rows.wrong.all()]
        for rows in partly:
            _keep_the_right(opened, rows)
        wholly = [rows.name for rows in verified.rows if rows.wrong.any() and rows.wrong.all()]
        unreadable = [opened.folder.path / fault.file for fault in verified.faults if fault.damaged]
        named = [folder / name for name in (*(rows.name for rows in partly), *wholly, *verified.copies)]
        return [_move_aside(opened, path) for path in dict.fromkeys([*named, *unreadable])]


def _keep_the_right(opened: OpenStudy, rows: FileRows) -> None:
    """Write the rows of a file that are right into another, which stands for the file."""
    part = read_part(opened.folder.trials / rows.name)
    opened.table.write_instead(rows.name, part.rows.take(indices_of(np.flatnonzero(~rows.wrong))))


def _move_aside(opened: OpenStudy, path: Path) -> str:
    """Move a file; one of its name that was moved before is not written over."""
    target = opened.folder.path / DAMAGED / path.name
    target.parent.mkdir(exist_ok=True)
    number = 1
    while target.exists():
        target = target.with_name(f"{path.name}.{number}")
        number += 1
    os.replace(path, target)
    return str(target.relative_to(opened.folder.path))
