"""Which files of plain text in a folder are a split."""

from __future__ import annotations

from pathlib import Path

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.base.os_words import worded_as
from clipsweep.trials.rows.split_files import ENDINGS, SHARD

PLAIN = ".txt"
TRAIN = "train"


def find_plain(folder: Path, split: str | None) -> list[Path]:
    """Files of plain text that are a split, in the order of their names.

    Args:
        folder: Where they lie.
        split: They are ``SPLIT.txt``, or those in the folder ``SPLIT``. None for ``train``; where nothing is called so,
            for all that lie in the folder.

    Returns:
        None of them where the split is rows of other files, if of any.

    Raises:
        TaskError: The folder cannot be read, or the split is there twice.
    """
    held = _listed(folder)
    if split is None:
        if not any(_is_of(path, TRAIN) for path in held):
            return _plain(held)
        split = TRAIN
    alone = [path for path in held if path.name == f"{split}{PLAIN}"]
    inside = _plain(_listed(folder / split)) if (folder / split).is_dir() else []
    rows = [path for path in held if path.stem == split and path.suffix in ENDINGS]
    found = [path.relative_to(folder).as_posix() for path in (*alone, *inside[:1], *rows)]
    if len(found) > 1 and (alone or inside):
        raise TaskError(
            f"split {split!r} of {folder} is there more than once ({', '.join(found)}); expected one file, or one "
            f"folder of text files. Move the others away."
        )
    return alone + inside


def _listed(folder: Path) -> list[Path]:
    """What a folder holds, sorted; hidden files are left out."""
    with worded_as(TaskError, f"reading {folder}"):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_of(path: Path, split: str) -> bool:
    """Whether a file, a shard or a folder is called as a split is."""
    shard = SHARD.fullmatch(path.name)
    return path.stem == split or (shard is not None and shard["split"] == split)


def _plain(paths: list[Path]) -> list[Path]:
    return [path for path in paths if path.suffix == PLAIN and path.is_file()]
