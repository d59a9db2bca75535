"""Cells in columns of plain text, and values as cells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import Any

NONE = "–"
MOST_LISTED = 8
INDENT = 10  # of what stands behind a heading


def section(heading: str, lines: Iterable[str]) -> str:
    """Lines behind a heading, as ``clipsweep best`` sets them; empty where there are none."""
    lines = list(lines)
    first, *others = lines or [""]
    if not lines:
        return ""
    return "\n".join(
        line.rstrip() for line in [f"{heading:<{INDENT}}{first}", *(f"{'':{INDENT}}{each}" for each in others)]
    )


def aligned(rows: Iterable[Sequence[str]], *, left: Collection[int] = (0,)) -> Iterator[str]:
    """A line of text for each row, its cells below each other.

    Args:
        rows: Cells; rows may be of different lengths.
        left: Columns that are set left, from 0; the others are set right.
    """
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip_longest(*rows, fillvalue="")]
    for row in rows:
        cells = [
            f"{cell:<{width}}" if number in left else f"{cell:>{width}}"
            for number, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        yield "  ".join(cells).rstrip()


def listed(values: Sequence[Any]) -> str:
    """The values of a fact in one cell: numbers that follow each other as a range, many of them by their ends."""
    if not values:
        return NONE
    if len(values) > 2 and all(isinstance(value, int) for value in values) and _follow(values):
        return f"{values[0]} to {values[-1]}"
    if len(values) > MOST_LISTED:
        return f"{len(values)}: {_cell(values[0])} to {_cell(values[-1])}"
    return ", ".join(map(_cell, values))


def _follow(values: Sequence[int]) -> bool:
    return list(values) == list(range(values[0], values[-1] + 1))


def _cell(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
