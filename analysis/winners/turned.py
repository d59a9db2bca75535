"""Which examples a clip turns: right under one of two trials, wrong under the other."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow, clip_record
from clipsweep.analysis.winners.gain import Gain, Paired, gain_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What two trials answered differently.

    Attributes:
        n_examples: How many were compared: the first ones, which both trials have seen.
        gained: Numbers of the examples that became right, from 0, in the split's order.
        lost: The same of those that became wrong.
    """

    n_examples: int
    gained: tuple[int, ...]
    lost: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An example that is right under one of two trials and wrong under the other.

    Attributes:
        number: In the split's order, from 0.
        source: The place in the source of the row that it was made of: split and number.
        text: The query, as the prompt holds it after the demonstrations.
        gold: The right label.
        before: The label that it was given; None where that is not known: a wrong one of more than two.
        after: The label that the trial gives it.
        gained: Whether it became right; else it became wrong.
        margin_before: How far the right label was ahead of the best other; None where the row has no margins.
        margin_after: The same under the trial.
        part: Which of the examples that were made of that row; None where it made one alone.
    """

    number: int
    source: tuple[str, int]
    text: str
    gold: str
    before: str | None
    after: str | None
    gained: bool
    margin_before: float | None
    margin_after: float | None
    part: int | None = None

    @property
    def place(self) -> str:
        """Its place in the source, in words."""
        part = "" if self.part is None else f", part {self.part}"
        return f"{self.source[0]} {self.source[1]:,}{part}"

    @property
    def moved(self) -> float:
        """How far the margin moved; 0 where it is not known."""
        if self.margin_before is None or self.margin_after is None:
            return 0.0
        return abs(self.margin_after - self.margin_before)


@dataclass(frozen=True, kw_only=True)
class Flips:
    """What a trial turns against another, example by example.

    Attributes:
        row: Of the trial.
        before: Of the one that it is compared with, the baseline for one.
        n_examples: How many examples were compared: the first ones, which both have seen.
        n_rows: How many the split has.
        flips: Those that turned; where margins are known, the furthest moved first.
        notes: What should be known of them.
    """

    row: StoredRow
    before: StoredRow
    n_examples: int
    n_rows: int
    flips: tuple[Flip, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def gain(self) -> Gain:
        """Of the examples that were compared; its p-value is McNemar's exact one. Measured when first asked for."""
        return gain_of([Paired(differences=_differences(self.row, self.before))], self.row.split)

    @property
    def gained(self) -> list[Flip]:
        """Those that became right."""
        return [flip for flip in self.flips if flip.gained]

    @property
    def lost(self) -> list[Flip]:
        """Those that became wrong."""
        return [flip for flip in self.flips if not flip.gained]

    def document(self, limit: int | None = None) -> dict[str, Any]:
        """All of it as JSON has it; of the examples so many in each direction."""
        shown = [*self.gained[:limit], *self.lost[:limit]]
        return {
            "trial_id": self.row.trial_id,
            "before_trial_id": self.before.trial_id,
            "split": self.row.split,
            "shots": self.row.shots,
            "demo_seed": self.row.demo_seed,
            "clips": [clip_record(clip) for clip in self.row.clips],
            "n_examples": self.n_examples,
            "n_rows": self.n_rows,
            "gained": len(self.gained),
            "lost": len(self.lost),
            "gain": asdict(self.gain),
            "flips": [asdict(flip) | {"source": list(flip.source)} for flip in shown],
            "notes": list(self.notes),
        }


def find_turned(row: StoredRow, before: StoredRow) -> Turned:
    """Compare two trials of one split example by example.

    Args:
        row: Of the trial; it has scores.
        before: Of the one that it is compared with; it has scores too.
    """
    differences = _differences(row, before)
    return Turned(
        n_examples=len(differences),
        gained=tuple(np.flatnonzero(differences > 0).tolist()),
        lost=tuple(np.flatnonzero(differences < 0).tolist()),
    )


def _differences(row: StoredRow, before: StoredRow) -> NDArray[np.float64]:
    """1 for each example that became right, -1 for each that became wrong, of those that both have seen."""
    count = min(row.n_examples, before.n_examples)
    return row.outcomes[:count].astype(float) - before.outcomes[:count]
