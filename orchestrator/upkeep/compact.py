"""Few large files in the place of many small ones."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.trials.base.errors import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """What compacting did.

    Attributes:
        files_before: Files of rows that there were.
        files: Files that there are.
        bytes_before: What those took.
        bytes: What these take.
    """

    files_before: int
    files: int
    bytes_before: int
    bytes: int

    def document(self) -> dict[str, Any]:
        """As ``clipsweep compact --json`` prints it."""
        return asdict(self)


def compact_study(opened: OpenStudy) -> Compacted:
    """Put all rows of a study into few files. No row is dropped, none changes, and it may be cut off at any moment.

    Raises:
        StudyBusyError: A process runs the study.
        StoreError: A file is damaged.
    """
    with study_lock(opened.folder) as held:
        opened.table.take_over(held.token, held.check)
        files_before, bytes_before = _measure(opened)
        opened.table.compact()
        files, n_bytes = _measure(opened)
    return Compacted(files_before=files_before, files=files, bytes_before=bytes_before, bytes=n_bytes)


def _measure(opened: OpenStudy) -> tuple[int, int]:
    """How many files of rows there are, and their bytes."""
    names = opened.table.files()
    return len(names), sum((opened.folder.trials / name).stat().st_size for name in names)


def describe_compacted(done: Compacted) -> str:
    """What was done, in words."""
    return (
        f"{counted(done.files_before, 'file')} of {_megabytes(done.bytes_before)} before, "
        f"{counted(done.files, 'file')} of {_megabytes(done.bytes)} now"
    )


def _megabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"
