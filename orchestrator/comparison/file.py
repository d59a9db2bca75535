"""The file that a comparison is drawn into: which endings there are, and what each needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from clipsweep.analysis.drawing.draw import FILE_FORMATS, FileFormat, check_matplotlib
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.base.os_words import check_output

HTML = ".html"
ENDINGS = (HTML, *(f".{file_format}" for file_format in FILE_FORMATS))


def check_file(path: Path) -> None:
    """Refuse a file that could not be written, before studies are read.

    Raises:
        SpecError: Its ending is none of ``ENDINGS``, or matplotlib is needed and not installed.
        PlaceError: It cannot be written there.
    """
    if path.suffix.lower() not in ENDINGS:
        raise SpecError(f"{path} ends in {path.suffix!r}; expected a file that ends in {_or(ENDINGS)}.")
    if not is_page(path):
        check_matplotlib()
    check_output(path, "the comparison")


def is_page(path: Path) -> bool:
    """Whether the ending says HTML."""
    return path.suffix.lower() == HTML


def _or(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def format_of(path: Path) -> FileFormat:
    """The format that the ending of a checked file says."""
    return cast(FileFormat, path.suffix.lower().removeprefix("."))
