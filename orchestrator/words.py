"""Quantities in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping

Say = Callable[[str], None]  # shows the user a line


def say_nothing(line: str) -> None:
    """For callers who show nothing."""


def counted(number: int, name: str, several: str | None = None) -> str:
    """A number with its noun: ``1 replica``, ``2 replicas``, ``1,000 rows``."""
    return f"{number:,} {name if number == 1 else several or name + 's'}"


def by_split(counts: Mapping[str, int]) -> str:
    """How many there are on each split: ``49 on validation, 2 on test``; splits without any are left out."""
    return ", ".join(f"{count:,} on {split}" for split, count in counts.items() if count)


def format_seconds(seconds: float) -> str:
    """Hours, minutes and seconds: ``3:05:00``, or ``0:42``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
