"""Quantities and values in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

LONGEST_SHOWN = 60
SHOWN = 10  # of a long list, unless another number is asked for
UNUSABLE = re.compile(r"[^A-Za-z0-9._-]+")  # in the name of a study
YAML = {None: "null", True: "true", False: "false"}  # as YAML writes them
Say = Callable[[str], None]  # shows the user a line


def print_line(console: Console, message: str) -> None:
    """Print a line as it is: no markup, no wrapping."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def say_nothing(line: str) -> None:
    """For callers who show nothing."""


def by_split(counts: Mapping[str, int]) -> str:
    """How many there are on each split: ``49 on validation, 2 on test``; splits without any are left out."""
    return ", ".join(f"{count:,} on {split}" for split, count in counts.items() if count)


def format_seconds(seconds: float) -> str:
    """Hours, minutes and seconds: ``3:05:00``, or ``0:42``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def as_name(text: str) -> str:
    """A text as a study may be named: what no name may hold becomes a hyphen."""
    return UNUSABLE.sub("-", text).strip("-._")


def shown(value: Any) -> str:
    """A value as messages show it: as YAML has it, and not too long."""
    text = YAML[value] if value is None or isinstance(value, bool) else _text(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


def _text(value: Any) -> str:
    """Texts in quotes, dates and the like without, lists and mappings as Python has them."""
    return repr(value) if isinstance(value, str | int | float | list | dict) else str(value)
