"""Quantities in words."""

from __future__ import annotations

from collections.abc import Callable

Say = Callable[[str], None]  # shows the user a line


def say_nothing(line: str) -> None:
    """For callers who show nothing."""


def counted(number: int, name: str, several: str | None = None) -> str:
    """A number with its noun: ``1 replica``, ``2 replicas``, ``1,000 rows``."""
    return f"{number:,} {name if number == 1 else several or name + 's'}"


def format_seconds(seconds: float) -> str:
    """Hours, minutes and seconds: ``3:05:00``, or ``0:42``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
