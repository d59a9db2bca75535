"""Rows of a CSV file: all values are text, as written."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.content import read_text
from clipsweep.trials.rows.values import DataRow

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(path: Path) -> list[tuple[int, DataRow]]:
    """Read a CSV file: commas between values, double quotes around those that hold commas, quotes or line ends.

    The first line names the columns. Every value is text, an empty one the empty text. Lines that are wholly empty are
    left out. Line ends inside quotes are as written.

    Returns:
        Of each row the line where it begins, counted from 1, and its values.

    Raises:
        TaskError: No UTF-8, a row that does not fit the header, a name that stands twice, a quote that never closes.
    """
    text = read_text(path, "CSV")
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    rows: list[tuple[int, DataRow]] = []
    begin = 1
    try:
        with _long_values():
            for fields in reader:
                line, begin = begin, reader.line_num + 1
                if not header:
                    header = _checked_header(fields, f"{path}, line {line}")
                elif fields:
                    rows.append((line, _fit(header, fields, f"{path}, line {line}")))
    except csv.Error as error:
        raise TaskError(_explain(error, text, begin, reader.line_num, path)) from error
    return rows


@contextmanager
def _long_values() -> Iterator[None]:
    """Let a value be of any length: the csv module has a limit, which holds for the whole process."""
    limit = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(limit)


def _checked_header(names: Sequence[str], where: str) -> list[str]:
    """The names of the columns; none for an empty line.

    Raises:
        TaskError: One name for all columns, or one name twice.
    """
    separators = [word for mark, word in OTHER_SEPARATORS.items() if len(names) == 1 and mark in names[0]]
    if separators:
        raise TaskError(
            f"{where}: the header is one name, {names[0]!r}; expected names with commas between them. The file "
            f"seems to have {separators[0]} between its values: save it anew with commas."
        )
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise TaskError(f"{where}: two columns are named {twice[0]!r}; expected one. Rename or remove one of them.")
    return list(names)


def _fit(header: Sequence[str], fields: Sequence[str], where: str) -> DataRow:
    """A row under its header.

    Raises:
        TaskError: More or fewer values than columns, or a value right of the first column that has no name.
    """
    if len(fields) != len(header):
        raise TaskError(
            f"{where}: the row has {len(fields)} value{'s' * (len(fields) != 1)}, but the header names {len(header)} "
            f"column{'s' * (len(header) != 1)} ({', '.join(map(repr, header))}); expected as many. Put double quotes "
            f"around a text that holds a comma or a line end, or mend the row."
        )
    if stray := [field for name, field in zip(header[1:], fields[1:], strict=True) if field and not name]:
        raise TaskError(f"{where}: {stray[0]!r} stands in a column without a name; expected one. Name it in line 1.")
    return dict(zip(header, fields, strict=True))


def _explain(error: csv.Error, text: str, begin: int, reached: int, path: Path) -> str:
    """What the csv module found, and where the quote opened.

    Args:
        error: Of the module.
        text: Of the file.
        begin: Line where the row begins.
        reached: Line that was read last.
        path: Of the file.
    """
    unclosed = "unexpected end" in str(error)
    lines = list(io.StringIO(text, newline=""))[begin - 1 : reached if unclosed else reached - 1]
    opened, inside = begin, False
    for number, line in enumerate(lines, begin):
        marks = line.replace('""', "").count('"')
        inside ^= marks % 2 == 1
        opened = number if marks and inside else opened
    if unclosed:
        return f"{path}, line {opened}: a double quote opens here and never closes. Close it, or double it inside text."
    return (
        f"{path}, line {opened if inside else reached}: a double quote opens here, and the one that closes it, in line "
        f"{reached}, has text right behind it ({error}). Close it where its text ends, or double it inside text."
    )
