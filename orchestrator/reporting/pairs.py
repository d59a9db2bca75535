"""The rows that a trial is compared by: the winner's, and the untouched model's on the same prompts."""

from __future__ import annotations

from collections.abc import Iterable

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.status.answer import NO_WINNER
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TEST


def winner_row(snapshot: Snapshot, split: str | None) -> StoredRow:
    """The winner's row of its first demonstration seed."""
    winner = snapshot.standings.winner
    if winner is None:
        raise StudyError(f"{snapshot.opened.folder} has {NO_WINNER}.")
    tested = winner.rows["winner_test"]
    row = tested if tested is not None and split in (None, TEST) else winner.rows["winner"]
    assert row is not None, "a winner has rows"
    return on_split(snapshot, row, split)


def on_split(snapshot: Snapshot, row: StoredRow, split: str | None) -> StoredRow:
    """The same point on another split."""
    if split in (None, row.split):
        return row
    assert split is not None, "None is any split"
    other = _stored(snapshot, row, row.clips, split)
    if other is None:
        why = "winners alone are run there" if snapshot.opened.subject.tested else "the study has no test split"
        raise StudyError(f"trial {row.trial_id} has no row on {split}: {why}. Take the split {row.split}.")
    return other


def baseline_row(snapshot: Snapshot, row: StoredRow) -> StoredRow:
    """The row of the untouched model on the same prompts."""
    if not row.has_scores:
        raise StudyError(f"trial {row.trial_id} failed ({row.error}), so that no example can be compared.")
    if not resolve(row.clips, snapshot.opened.subject.card).edits:
        raise StudyError(
            f"trial {row.trial_id} is the untouched model: it turns nothing. Name another trial; 'clipsweep results "
            f"{snapshot.opened.folder}' lists them."
        )
    before = _stored(snapshot, row, (), row.split)
    if before is None or not before.has_scores:
        raise StudyError(
            f"trial {row.trial_id} has no baseline: the untouched model at {row.shots} shots and demonstration seed "
            f"{row.demo_seed} has no scores on {row.split}. Run the study again."
        )
    return before


def _stored(snapshot: Snapshot, row: StoredRow, clips: Iterable[Clip], split: str) -> StoredRow | None:
    """The row of the trial on the prompts of another, with these clips, on this split."""
    opened = snapshot.opened
    spec = opened.space.propose(row.shots, row.demo_seed, tuple(clips), split, row.task).spec
    return snapshot.rows.get(opened.subject.trial_id(spec))
