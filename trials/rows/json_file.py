"""Rows of a JSON file: an object on each line, or one list of objects."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.content import read_text
from clipsweep.trials.rows.values import DataRow, Written

BLANK = " \t\r\n"  # white space of JSON; Python's own has more
MOST_DIGITS = 4000  # of an int; Python refuses some more than these
EXPECTED = 'an object on each line, as in {"text": "…", "label": 0}, or one list of objects'


def read_json(path: Path) -> list[tuple[int, DataRow]]:
    """Read a JSON file: an object on each line (empty lines are left out), or one list of objects.

    Text stays text. A number prints as it was written, and true and false are booleans.

    Returns:
        Of each row the line where it begins, counted from 1, and its values.

    Raises:
        TaskError: No UTF-8, or no JSON: with the line and what is wrong there.
    """
    text = read_text(path, "JSON")
    if text.lstrip(BLANK).startswith("["):
        return _read_list(text, path)
    lines = text.split("\n")  # not splitlines, which cuts at characters that JSON has inside of texts
    filled = [(number, line) for number, line in enumerate(lines, 1) if line.strip(BLANK)]
    torn = filled[-1][0] if filled and lines[-1].strip(BLANK) else None
    rows = []
    for number, line in filled:
        value, end = _decode(line, len(line) - len(line.lstrip(BLANK)), _Place(path, number, number == torn))
        if rest := line[end:].strip(BLANK):
            raise TaskError(f"{path}, line {number}: {rest[:30]!r} follows the object; expected {EXPECTED}.")
        rows.append((number, value))
    return rows


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an object stands, and whether the file ends with it, as one that is cut off does."""

    path: Path
    line: int
    last: bool

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


def _read_list(text: str, path: Path) -> list[tuple[int, DataRow]]:
    """The objects of a list, each with its line."""
    rows: list[tuple[int, DataRow]] = []
    at = _skip(text, text.index("[") + 1)
    line = text.count("\n", 0, at) + 1
    more = not text.startswith("]", at)
    while more:
        value, end = _decode(text, at, _Place(path, line, True))
        rows.append((line, value))
        mark = _skip(text, end)
        more = text.startswith(",", mark)
        if not more and not text.startswith("]", mark):
            raise TaskError(f"{path}, line {line}: {_after(text, mark)}")
        begin, at = at, _skip(text, mark + 1) if more else mark
        line += text.count("\n", begin, at)
    if rest := text[at + 1 :].strip(BLANK):
        raise TaskError(f"{path}, line {line}: {rest[:30]!r} follows the list; expected one list of objects.")
    return rows


def _after(text: str, at: int) -> str:
    """What stands where a comma or the end of the list is expected."""
    if at == len(text):
        return "the file ends inside the list; it may be cut off. Get the whole file."
    return f"{text[at : at + 30]!r} follows the object; expected a comma, or ] at the end of the list."


def _skip(text: str, at: int) -> int:
    found = re.compile(f"[{BLANK}]*").match(text, at)
    return at if found is None else found.end()


def _decode(text: str, at: int, place: _Place) -> tuple[DataRow, int]:
    """The object that begins at a place, and where it ends.

    Raises:
        TaskError: No JSON, no object, or a value that JSON does not have.
    """
    try:
        value, end = _DECODER.raw_decode(text, at)
        if "\\u" in text[at:end]:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        raise TaskError(f"{place}: {_explain(error, place.last)}") from error
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise TaskError(
            f"{place}: half a surrogate pair, {half!r}, is no character. Mend the text, or remove the row."
        ) from error
    except RecursionError as error:
        raise TaskError(f"{place}: lists or objects lie too deep in each other. Mend or remove the row.") from error
    except TaskError as error:
        raise TaskError(f"{place}: {error}") from error
    if not isinstance(value, dict):
        raise TaskError(f"{place}: {text[at:end][:30]!r} is no object; expected {EXPECTED}.")
    return value, end


def _explain(error: json.JSONDecodeError, last: bool) -> str:
    """What is wrong with a text that is no JSON."""
    text, at = error.doc, error.pos
    before = text[:at].rstrip(BLANK)
    if text[at : at + 1] in ("}", "]") and before.endswith(","):
        return f"not JSON: a comma too many before {text[at]!r}. Remove it."
    if last and ("Unterminated string" in error.msg or not text.rstrip(BLANK).endswith(("}", "]"))):
        return "not JSON: the file ends in the middle of the object. Get the whole file, or mend its end."
    near = text[max(0, at - 20) : at + 20]
    return f"not JSON: {error.msg}, near {near!r}; expected {EXPECTED}."


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object, each key once."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise TaskError(f"key {twice!r} stands twice in one object; expected it once. Remove one of the two.")
    return made


def _integer(text: str) -> int | Written:
    """An int of any length; one that Python would print otherwise stays as it was written."""
    return Written(text) if text == "-0" or len(text) > MOST_DIGITS else int(text)


def _refuse_constant(text: str) -> None:
    raise TaskError(f"{text} is no JSON; expected a number, a text or null. Write null where there is no value.")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=Written, parse_int=_integer, parse_constant=_refuse_constant
)
