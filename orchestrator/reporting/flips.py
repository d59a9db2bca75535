"""Which examples a clip turns, with their texts: those of two rows of one split, stored or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.turned import Flip, Flips, find_turned
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.tasks.task import Task


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

    Raises:
        StudyError: The rows are of texts.
    """
    refuse_text(row)
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
                source=example.place,
                part=example.part,
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
        notes=tuple(told),
    )


def refuse_text(row: StoredRow) -> None:
    """Refuse a row of which no example can turn.

    Raises:
        StudyError: It is of texts.
    """
    if row.is_text:
        raise StudyError(
            f"trial {row.trial_id} scored texts, which are not answered right or wrong, so that no example turns; "
            f"expected a trial of a task with answers. 'clipsweep best' tells what is gained."
        )


def _label(answers: Sequence[str], gold: int, given: int | None, *, right: bool) -> str | None:
    """The label that an example was given; of two labels it is told by the outcome.

    None where it is not known: one of many, or what was said in place of an open answer.
    """
    if right:
        return answers[gold]
    if given is not None and given >= 0:
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
