"""Which files of a folder are a split: exact names, and a whole set of shards."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.base.os_words import worded_as

ENDINGS = (".jsonl", ".json", ".csv", ".parquet")
SHARD = re.compile(  # as the hub names them; it once put a hash behind the total
    rf"(?P<split>.+)-(?P<index>\d{{5,}})-of-(?P<total>\d{{5,}})(-[0-9a-f]{{6,}})?({'|'.join(map(re.escape, ENDINGS))})"
)
CONVERTED = re.compile(r"\d{4,}\.parquet")  # of the hub's own conversion: 0000.parquet, 0001.parquet …


def find_split(folder: Path, split: str) -> list[Path]:
    """Files of one split, in their order.

    They are ``SPLIT.jsonl`` (or .json, .csv, .parquet); or all of ``SPLIT-00000-of-00003.jsonl`` and so on, as the hub
    names shards, a hash behind the total allowed; or a folder ``SPLIT`` that holds one data file, such shards, or
    ``0000.parquet``, ``0001.parquet`` and so on. Anything else is not read, whatever its name begins with.

    Raises:
        TaskError: Nothing that fits, a shard that is missing or there twice, or more than one of these.
    """
    held = _listed(folder)
    alone = [path for path in held if path.name in _names_alone(split)]
    shards = [path for path in held if _is_shard(path.name, split)]
    inside = _data_below(folder / split) if folder / split in held and (folder / split).is_dir() else []
    found = [*alone, *shards, *inside]
    if not found:
        raise TaskError(_nothing(folder, split, held))
    if len({path.suffix for path in found} & {*ENDINGS}) > 1:
        raise TaskError(f"split {split!r} of {folder} is there in several formats ({_names(found, folder)}); keep one.")
    if sum(map(bool, (alone, shards, inside))) > 1:
        raise TaskError(
            f"split {split!r} of {folder} is there more than once ({_names(found, folder)}); expected one file, one "
            f"set of shards, or one folder. Move the others away."
        )
    files = _check_folder(folder / split, split, inside) if inside else found
    if shards:
        _check_shards(shards, split, folder)
    if strange := [path for path in files if not path.is_file()]:
        kind = "a folder" if strange[0].is_dir() else "no file, or a link to one that is not there"
        raise TaskError(f"{strange[0]} is {kind}; expected a file with rows. Put the file in its place.")
    return files


def _listed(folder: Path) -> list[Path]:
    """What a folder holds, sorted; hidden files are left out."""
    with worded_as(TaskError, f"reading {folder}"):
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_shard(name: str, split: str) -> bool:
    found = SHARD.fullmatch(name)
    return found is not None and found["split"] == split


def _data_below(folder: Path) -> list[Path]:
    """Files of rows in a folder and below, those too whose name says that they are not ready."""
    below = [path for path in _listed(folder) if not path.is_dir() and {*path.suffixes} & {*ENDINGS}]
    inner = [each for each in _listed(folder) if each.is_dir() and not each.is_symlink()]
    return below + [path for each in inner for path in _data_below(each)]


def _check_folder(folder: Path, split: str, found: Sequence[Path]) -> list[Path]:
    """The files of a folder that is a split.

    Raises:
        TaskError: Files that make no whole set.
    """
    names = [path.name for path in found]
    flat = all(path.parent == folder and path.suffix in ENDINGS for path in found)
    shards = [match for name in names if (match := SHARD.fullmatch(name)) is not None]
    if flat and len(shards) == len(found) and len({match["split"] for match in shards}) == 1:
        _check_shards(found, split, folder)
    elif flat and all(map(CONVERTED.fullmatch, names)):
        _check_gap([int(path.stem) for path in found], len(found), found, folder)
    elif not flat or len(found) > 1:
        raise TaskError(
            f"{folder} holds {_names(found, folder)}; expected one file of rows, or a whole set of "
            f"{split}-00000-of-00002{found[0].suffix} and so on. Join the files into one, or move away what is no part."
        )
    return sorted(found)


def _check_shards(files: Sequence[Path], split: str, folder: Path) -> None:
    found = [match for path in files if (match := SHARD.fullmatch(path.name)) is not None]
    totals = {int(match["total"]) for match in found}
    if len(totals) > 1:
        raise TaskError(
            f"shards of split {split!r} in {folder} are of {' and of '.join(map(str, sorted(totals)))} "
            f"({_names(files, folder)}); expected one set. Move the others away."
        )
    _check_gap([int(match["index"]) for match in found], totals.pop(), files, folder)


def _check_gap(numbers: Sequence[int], total: int, files: Sequence[Path], folder: Path) -> None:
    """See that numbers are all from 0 up to a total, each once."""
    held = set(numbers)
    if missing := [*islice((str(number) for number in range(total) if number not in held), 6)]:
        raise TaskError(
            f"{folder} has {_names(files, folder)}, but not number {', '.join(missing)} of them, counted "
            f"from 0; expected all. Get what is missing."
        )
    if len(numbers) > total or max(numbers) >= total:
        raise TaskError(
            f"{folder} has {_names(files, folder)}; expected the numbers 0 to {total - 1}, each once. Move the others "
            f"away."
        )


def _nothing(folder: Path, split: str, held: Sequence[Path]) -> str:
    """The message where no file fits: what is there, and what names are read."""
    names = ", ".join(path.name for path in held[:6]) or "nothing"
    text = (
        f"{folder} has no rows of split {split!r} (it holds {names}); expected {split}.jsonl, .json, .csv or .parquet"
    )
    alike = [path.name for path in held if path.name.lower().startswith(split.lower())]
    if alike:
        text += f", or shards as {split}-00000-of-00002.jsonl. Not read: {', '.join(alike[:3])}"
    below = [path for path in held if path.is_dir() and any(_is_of(each, split) for each in _listed(path))]
    return text + (f". Give the folder {below[0]}, which has them." if below else ". Rename or convert what you have.")


def _names_alone(split: str) -> list[str]:
    return [f"{split}{ending}" for ending in ENDINGS]


def _is_of(path: Path, split: str) -> bool:
    return path.name in [split, *_names_alone(split)] or _is_shard(path.name, split)


def _names(files: Sequence[Path], folder: Path) -> str:
    """Some names, as they lie below a folder."""
    names = [path.relative_to(folder).as_posix() for path in files]
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
