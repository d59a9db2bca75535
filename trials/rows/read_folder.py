"""Rows of a split from a folder of files: read by their content, every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.base.os_words import worded_as
from clipsweep.trials.rows.csv_file import read_csv
from clipsweep.trials.rows.json_file import read_json
from clipsweep.trials.rows.parquet_file import read_parquet
from clipsweep.trials.rows.split_files import find_split
from clipsweep.trials.rows.split_rows import RowFile, SplitRows
from clipsweep.trials.rows.values import DataRow

READERS: dict[str, Callable[[Path], list[tuple[int, DataRow]]]] = {
    ".jsonl": read_json,
    ".json": read_json,
    ".csv": read_csv,
    ".parquet": read_parquet,
}
FIXED = (".csv", ".parquet")  # a file has the same columns in every row


def find_folder(path: str) -> Path | None:
    """The folder that a path names; None where there is none.

    Raises:
        TaskError: The system does not say, or there is no such user.
    """
    try:
        folder = Path(path).expanduser()
    except RuntimeError as error:
        raise TaskError(f"task.path is {path[:80]!r}, and there is no such user; expected a folder.") from error
    with worded_as(TaskError, f"looking for task.path {path[:80]!r}"):
        return folder if folder.is_dir() else None


def read_folder(folder: Path, split: str) -> SplitRows:
    """Read all rows of one split.

    Args:
        folder: That holds the files of the split.
        split: As the files are named.

    Raises:
        TaskError: No file for the split or no whole set of them, or a file that cannot be read.
    """
    files = [read_file(path, folder) for path in find_split(folder, split)]
    held = [file for file in files if file.rows]
    if held and held[0].name.endswith(FIXED):
        _check_columns(held)
    return SplitRows(source=str(folder), split=split, files=files)


def read_file(path: Path, folder: Path) -> RowFile:
    """Read all rows of one file.

    Args:
        path: Its ending is one of ``READERS``.
        folder: That it lies in, or below.

    Raises:
        TaskError: It cannot be read, or its name says something else than it holds.
    """
    numbered = READERS[path.suffix](path)
    return RowFile(
        place=str(path),
        name=path.relative_to(folder).as_posix(),
        unit="row" if path.suffix == ".parquet" else "line",
        numbers=[number for number, _ in numbered],
        rows=[row for _, row in numbered],
    )


def _check_columns(files: Sequence[RowFile]) -> None:
    """See that all shards have the same columns, in any order."""
    columns = {*files[0].rows[0]}
    for file in files[1:]:
        if odd := columns ^ {*file.rows[0]}:
            raise TaskError(
                f"{files[0].place} and {file.place} differ in their columns ({', '.join(sorted(odd))}); "
                f"expected the same in all files of a split. Mend one of them."
            )
