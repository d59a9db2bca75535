"""Which stored trials a checkpoint is made from: those of the winner, or one that the user names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.status.answer import NO_WINNER
from clipsweep.trials.base.errors import StudyError, counted
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import SPLITS, TrialSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Picked:
    """What is taken home.

    Attributes:
        clips: Those of the trials.
        rows: Complete rows of the trials, validation before test, of each the demonstration seeds in order.
        baselines: The untouched model's row beside each of them; None where that is not complete.
    """

    clips: tuple[Clip, ...]
    rows: tuple[StoredRow, ...]
    baselines: tuple[StoredRow | None, ...]

    def on(self, split: str) -> tuple[list[StoredRow], list[StoredRow]]:
        """Rows on a split and their baselines, as far as both are there."""
        pairs = zip(self.rows, self.baselines, strict=True)
        both = [(row, base) for row, base in pairs if row.split == split and base is not None]
        return [row for row, _ in both], [base for _, base in both]

    @property
    def by_task(self) -> list[Picked]:
        """The same for each of its tasks."""
        pairs = list(zip(self.rows, self.baselines, strict=True))
        return [
            replace(
                self,
                rows=tuple(row for row, _ in pairs if row.task == task),
                baselines=tuple(baseline for row, baseline in pairs if row.task == task),
            )
            for task in dict.fromkeys(row.task for row in self.rows)
        ]

    @property
    def reading_kinds(self) -> list[str]:
        """The kinds of its clips that look at texts: what they make of the weights depends on the trial's prompts."""
        return reading_kinds(self.clips)

    @property
    def of_these_weights(self) -> tuple[StoredRow, ...]:
        """Rows of the trials that had the same weights as the first: all, or those whose prompts had the same texts."""
        first = self.rows[0]
        return tuple(row for row in self.rows if not self.reading_kinds or _texts_of(row) == _texts_of(first))

    @property
    def splits(self) -> list[str]:
        """Those that the trials were run on."""
        return [split for split in SPLITS if any(row.split == split for row in self.rows)]


def reading_kinds(clips: Iterable[Clip]) -> list[str]:
    """The kinds of some clips that look at texts, each once."""
    return list(dict.fromkeys(clip.kind for clip in clips if load_kind(clip.kind).texts(clip) is not None))


def _texts_of(row: StoredRow) -> tuple[int | None, int]:
    """What tells the texts of one task's trials apart: how many demonstrations were left, and their seed."""
    return row.demonstrations, row.demo_seed


def pick_trial(snapshot: Snapshot, named: str | None) -> Picked:
    """The trials of the winner, or the one that is named.

    Args:
        snapshot: The study.
        named: Identity of a trial, or its first digits; None for the winner.

    Raises:
        StudyError: There is no winner, or no such trial; the trial is not complete; or it is the untouched model's.
    """
    picked = _winner(snapshot) if named is None else _trial(snapshot, named)
    if not resolve(picked.clips, snapshot.opened.subject.card).edits:
        what = "the winner" if named is None else f"trial {named}"
        raise StudyError(
            f"{what} of {snapshot.opened.folder} is the untouched model; expected a clip, as else there is nothing to "
            f"apply. Name another trial with --trial; 'clipsweep results {snapshot.opened.folder}' lists them."
        )
    return picked


def _winner(snapshot: Snapshot) -> Picked:
    winner = snapshot.standings.winner
    if winner is None:
        raise StudyError(f"{snapshot.opened.folder} has {NO_WINNER}. Run it on, or name a trial with --trial.")
    point, rows = winner.point, snapshot.rows
    pairs = [
        *zip(point.trial_ids, point.baseline_ids, strict=True),
        *zip(point.test_ids, point.baseline_test_ids, strict=True),
    ]
    found = [(rows[one], _complete(rows, other)) for one, other in pairs if _complete(rows, one) is not None]
    return Picked(clips=point.clips, rows=tuple(row for row, _ in found), baselines=tuple(base for _, base in found))


def _trial(snapshot: Snapshot, named: str) -> Picked:
    row = snapshot.find(named)
    if not row.is_complete:
        raise StudyError(f"trial {row.trial_id} {_how_it_ended(row)}; expected one that is complete. Name another.")
    spec = TrialSpec(model=row.model, task=row.task, shots=row.shots, demo_seed=row.demo_seed, split=row.split)
    baseline = _complete(snapshot.rows, snapshot.opened.subject.trial_id(spec))
    return Picked(clips=row.clips, rows=(row,), baselines=(baseline,))


def _how_it_ended(row: StoredRow) -> str:
    if row.state is TrialState.FAILED:
        return f"failed ({row.error})"
    return f"was stopped by a race after {counted(row.n_examples, 'row')} (state {row.state.value})"


def _complete(rows: Mapping[str, StoredRow], trial: str) -> StoredRow | None:
    row = rows.get(trial)
    return row if row is not None and row.is_complete else None
