"""Which examples a clip turns, with their texts: those of two rows of one split, stored or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clipsweep.analysis.row.row import StoredRow, clip_record
from clipsweep.analysis.winners.gain import Gain
from clipsweep.analysis.winners.turned import find_turned
from clipsweep.trials.tasks.task import Task


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An example that is right under one of two trials and wrong under the other.

    Attributes:
        number: In the split's order, from 0.
        source: Its place in the source: split and number.
        text: The query, as the prompt holds it after the demonstrations.
        gold: The right label.
        before: The label that it was given; None where that is not known: a wrong one of more than two.
        after: The label that the trial gives it.
        gained: Whether it became right; else it became wrong.
        margin_before: How far the right label was ahead of the best other; None where the row has no margins.
        margin_after: The same under the trial.
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

    @property
    def moved(self) -> float:
        """How far the margin moved; 0 where it is not known."""
        if self.margin_before is None or self.margin_after is None:
            return 0.0
        return abs(self.margin_after - self.margin_before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flips:
    """What a trial turns against another, example by example.

    Attributes:
        row: Of the trial.
        before: Of the one that it is compared with, the baseline for one.
        n_examples: How many examples were compared: the first ones, which both have seen.
        n_rows: How many the split has.
        flips: Those that turned; where margins are known, the furthest moved first.
        gain: Of the examples that were compared; its p-value is McNemar's exact one.
        notes: What should be known of them.
    """

    row: StoredRow
    before: StoredRow
    n_examples: int
    n_rows: int
    flips: tuple[Flip, ...]
    gain: Gain
    notes: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """Labels that two trials gave, by the number of the example: index of the answer, None where it is not known."""

    before: Sequence[int | None]
    after: Sequence[int | None]


def find_flips(
    task: Task, row: StoredRow, before: StoredRow, labels: Labels | None = None, notes: Sequence[str] = ()
) -> Flips:
    """Compare two rows of one split.

    Args:
        task: Whose rows they are of.
        row: Of the trial; it has scores.
        before: Of the one that it is compared with; it has scores too.
        labels: What both gave; None where that is not known. Of two labels the outcome tells which it was.
        notes: What should be known.
    """
    turned, examples = find_turned(row, before), task.splits[row.split]
    demonstrations = row.shots if row.demonstrations is None else row.demonstrations  # None in rows of schema 1
    margins, margins_before = row.margins, before.margins
    flips = []
    for number in sorted((*turned.gained, *turned.lost)):
        example, right = examples[number], bool(row.outcomes[number])
        known = (None, None) if labels is None else (labels.before[number], labels.after[number])
        flips.append(
            Flip(
                number=number,
                source=example.row,
                text=example.query if demonstrations else example.alone,
                gold=example.answers[example.gold],
                before=_label(example.answers, example.gold, known[0], right=not right),
                after=_label(example.answers, example.gold, known[1], right=right),
                gained=right,
                margin_before=None if margins_before is None else float(margins_before[number]),
                margin_after=None if margins is None else float(margins[number]),
            )
        )
    told = [*notes, *_notes(row, before, turned.n_examples, len(examples))]
    return Flips(
        row=row,
        before=before,
        n_examples=turned.n_examples,
        n_rows=len(examples),
        flips=tuple(sorted(flips, key=lambda flip: -flip.moved)),
        gain=turned.gain,
        notes=tuple(told),
    )


def _label(answers: Sequence[str], gold: int, given: int | None, *, right: bool) -> str | None:
    """The label that an example was given; of two labels it is told by the outcome."""
    if right:
        return answers[gold]
    if given is not None:
        return answers[given]
    return answers[1 - gold] if len(answers) == 2 else None


def _notes(row: StoredRow, before: StoredRow, n_examples: int, n_rows: int) -> list[str]:
    """That not all examples were compared, or that there are no margins."""
    notes = []
    if n_examples < n_rows:
        notes.append(
            f"the first {n_examples} of {n_rows} rows are compared: the trial is {row.state.value}, and saw no more"
        )
    if row.margins is None or before.margins is None:
        notes.append("rows of schema version 3 and older hold no margins")
    return notes
