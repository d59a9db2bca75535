"""The examples that the winner turns, as the page shows them: a bounded number in each direction, long texts cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsweep.analysis.winners.turned import Flip, Flips

MOST_SHOWN = 25  # in each direction; those whose margin moved furthest
LONGEST_TEXT = 280  # characters; the rest is shown on demand


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownExample:
    """One example.

    Attributes:
        place: Where it stands: the row of the split, and of its source.
        text: How it begins.
        rest: What is shown on demand; empty where nothing was cut.
        turn: The label that it was given before, and after.
        margins: How far the right label was ahead, before and after; empty where that is not known.
    """

    place: str
    text: str
    rest: str
    turn: str
    margins: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """The examples that turned in one direction.

    Attributes:
        title: Which, and how many.
        shown: Those that are shown.
        total: How many there are.
    """

    title: str
    shown: Sequence[ShownExample]
    total: int


def directions_of(flips: Flips) -> list[Direction]:
    """Those that became right, then those that became wrong."""
    return [
        _direction("Became right", flips.gained),
        _direction("Became wrong", flips.lost),
    ]


def _direction(title: str, flips: Sequence[Flip]) -> Direction:
    return Direction(title=title, shown=[_show(flip) for flip in flips[:MOST_SHOWN]], total=len(flips))


def _show(flip: Flip) -> ShownExample:
    text = flip.text.strip()
    cut = _cut_at(text)
    margins = ""
    if flip.margin_before is not None and flip.margin_after is not None:
        margins = f"{flip.margin_before:+.3f} → {flip.margin_after:+.3f}"
    return ShownExample(
        place=f"row {flip.number:,}, from {flip.place}",
        text=text[:cut],
        rest=text[cut:],
        turn=f"{_label(flip.before)} → {_label(flip.after)}",
        margins=margins,
    )


def _cut_at(text: str) -> int:
    """Where a long text is cut: between two words if there is a place."""
    if len(text) <= LONGEST_TEXT:
        return len(text)
    space = text.rfind(" ", LONGEST_TEXT // 2, LONGEST_TEXT)
    return LONGEST_TEXT if space < 0 else space


def _label(label: str | None) -> str:
    return "a wrong one" if label is None else f"“{label.strip()}”"
