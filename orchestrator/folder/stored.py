"""Read what a run left in a study's folder; a damaged file is named, with the mend."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.source.yaml_file import read_yaml
from clipsweep.trials.base.errors import StoreError, StudyError
from clipsweep.trials.base.os_words import worded_as

SECTIONS = ("model", "task", "space", "search", "cluster")  # that every run has written
MEND_STUDY = "Move it away and run the study again from its own file; its rows stay."


def is_there(path: Path) -> bool:
    """Whether a file is there.

    Raises:
        StoreError: Something else is in its place: a folder, or a link that leads nowhere.
    """
    check_in_place([path])
    return path.is_file()


def check_in_place(files: Iterable[Path] = (), folders: Iterable[Path] = ()) -> None:
    """Refuse what stands where a file or a folder of a study belongs, and is none.

    Raises:
        StoreError: What it is, and the mend.
    """
    for path in files:
        if os.path.lexists(path) and not path.is_file():
            what = "a folder" if path.is_dir() else _kind_of_other(path)
            raise StoreError(f"{path} is {what}; expected a file, as a run writes it. Move it away.")
    for path in folders:
        if os.path.lexists(path) and not path.is_dir():
            what = "a file" if path.is_file() else _kind_of_other(path)
            raise StoreError(f"{path} is {what}; expected a folder, as a run makes it. Move it away.")


def _kind_of_other(path: Path) -> str:
    return "a link that leads nowhere" if path.is_symlink() else "no regular file"


def read_json(path: Path, mend: str) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: It is there.
        mend: What to do where it is damaged, as a sentence.

    Raises:
        StoreError: It is damaged, or may not be read.
    """
    try:
        with worded_as(StoreError, f"reading {path}"):
            content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: it is not whole JSON. {mend}") from error
    if not isinstance(content, dict):
        raise StoreError(f"{path} is damaged: it holds {type(content).__name__}, not keys and values. {mend}")
    return content


@contextmanager
def whole(path: Path, mend: str) -> Iterator[None]:
    """Take a key that is missing or of another type, while a file's content is made a value, for a damaged file.

    Raises:
        StoreError: The file, and the mend.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise StoreError(f"{path} is damaged: a key is missing or wrong ({error!r}). {mend}") from error


def read_stored_study(folder: StudyFolder) -> dict[str, Any]:
    """Read the study file that an earlier run wrote, or that a user has put there for the first.

    Raises:
        StoreError: It is damaged, or may not be read.
    """
    path = folder.study
    try:
        content = read_yaml(path)
    except StudyError as error:
        if isinstance(error.__cause__, OSError):
            raise StoreError(str(error)) from error
        raise StoreError(f"{error} {MEND_STUDY}") from error
    if is_there(folder.subject):
        missing = [section for section in SECTIONS if section not in content]
        if missing or not path.read_text(encoding="utf-8").endswith("\n"):
            what = f"section {missing[0]} is missing" if missing else "its last line has no end"
            raise StoreError(f"{path} is not whole: {what}. {MEND_STUDY}")
    return content
