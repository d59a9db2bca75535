"""Values of a row: numbers that print as they were written, and any value as the text that a prompt shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Real
from typing import Any, Self
from uuid import UUID

from clipsweep.trials.base.errors import TaskError

DataRow = Mapping[str, Any]
SHOWN = (str, Real, Decimal, date, time, timedelta, UUID)  # what has one plain text of its own


class Written(float):
    """A number that prints as it was written (19.50 stays 19.50), and is a float in all else."""

    text: str

    def __new__(cls, text: str | float) -> Self:
        """Take a number's text."""
        number = super().__new__(cls, text)
        number.text = str(text)
        return number

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text


class Binary(bytes):
    """Bytes that are no UTF-8: to be used as bytes, refused wherever they would become text."""

    def __str__(self) -> str:
        raise TaskError(
            f"bytes {self[:20]!r} are not UTF-8; expected text. Write the column as UTF-8, or leave it out of the "
            f"template."
        )


@dataclass(frozen=True, slots=True)
class Guessed:
    """A time that another library made of a text: refused wherever it would become text again."""

    time: datetime

    def __str__(self) -> str:
        raise TaskError(f"{_GUESSED}, {self.time}; expected the text. {_DOWNLOAD}")


_GUESSED = "a time that datasets made of a text"
_DOWNLOAD = "Download the repository and give its folder, whose files are read as they are written."


def text_of(value: Any, name: str) -> str:
    """A value as a prompt shows it.

    Text is as it was written, a number as the file or Python writes it, true and false as in JSON, a decimal in plain
    digits, a date or time in ISO 8601 (date and time with a space between them), bytes as UTF-8.

    Args:
        value: Of a row, or what a user's function made of it.
        name: Column, or part of one, for the message.

    Raises:
        TaskError: Nothing, a list, a mapping, bytes that are not UTF-8, half a surrogate pair, anything without a
            text of its own.
    """
    if isinstance(value, bytes):
        value = decoded(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, str):
        return _whole(str.__str__(value), name)  # the text of an Enum's member too, not its name
    if not isinstance(value, SHOWN):
        raise TaskError(f"column {name!r} holds {_kind(value)}; expected text or a number. {_mend(value, name)}")
    return str(value)


def is_missing(value: Any) -> bool:
    """Whether a value is none: null, not a number, or white space alone."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, Real | Decimal | date) and bool(value != value))


def decoded(value: bytes) -> str | Binary:
    """Bytes as text, where they are UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return Binary(value)


def _whole(text: str, name: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TaskError(
            f"column {name!r} holds half a surrogate pair, {text[error.start]!r}, which is no character; expected "
            f"whole ones. Mend the text, or leave the row out."
        ) from error
    return text


def _kind(value: Any) -> str:
    """What a value is, and its beginning."""
    if value is None:
        return "nothing (null)"
    if isinstance(value, Binary):
        return f"bytes that are not UTF-8, {bytes(value[:20])!r}"
    if isinstance(value, Guessed):
        return f"{_GUESSED}, {value.time}"
    shown = repr(value)
    kinds = {"list": "a list", "tuple": "a list", "dict": "a mapping"}
    name = type(value).__name__
    return f"{kinds.get(name, f'a value of type {name}')}, {shown[:60]}"


def _mend(value: Any, name: str) -> str:
    """How a value that has no text of its own is given one."""
    if value is None:
        return "Mend the row, or leave it out."
    if isinstance(value, Binary):
        return "Write the column as UTF-8, or leave it out of the template."
    if isinstance(value, Guessed):
        return _DOWNLOAD
    if isinstance(value, Mapping):
        part = next(iter(value), "key")
        return f"Name one of its parts, as {{{name}[{part}]}}, or make it text in the task's function."
    if isinstance(value, list | tuple):
        return f"Name one of its parts, as {{{name}[0]}}, or join it in the task's function."
    return "Make it text in the task's function."
