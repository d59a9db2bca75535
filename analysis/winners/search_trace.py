"""How a search went: the best so far against trials and against rows evaluated, and which trials were stopped when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clipsweep.analysis.store.row import StoredRow
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import mean_score


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a search was after one attempt at a trial on validation.

    Attributes:
        trials: Distinct trials begun.
        rows_evaluated: Over all trials; a row that several trials were evaluated on counts for each.
        best: Best score of a point whose trials are all complete; None before the first.
    """

    trials: int
    rows_evaluated: int
    best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far a trial came.

    Attributes:
        number: Its place among the trials, by their first attempt; from 1.
        row: Its latest stored row.
    """

    number: int
    row: StoredRow

    @property
    def stopped(self) -> bool:
        """Whether a race stopped it, or holds it back."""
        return self.row.is_cut_short


def trace_search(history: Iterable[StoredRow], points: Sequence[Point]) -> tuple[list[Step], list[Seen]]:
    """Follow a search through its stored attempts.

    Args:
        history: Every attempt in the order they finished.
        points: Of the study.

    Returns:
        A step for each attempt, and how far each trial came.
    """
    points_of: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        for trial_id in point.trial_ids:
            points_of[trial_id].append(point)
    rows: dict[str, StoredRow] = {}
    steps: list[Step] = []
    evaluated, best = 0, None
    for row in history:
        if row.trial_id not in points_of or not row.has_scores:
            continue
        before = rows.get(row.trial_id)
        rows[row.trial_id] = row
        if before is not None and before.n_examples == row.n_examples:
            continue  # the race has stopped it, and nothing was evaluated
        evaluated += row.n_examples - (before.n_examples if before else 0)
        scores = [mean_score(point.trial_ids, rows, point.metric) for point in points_of[row.trial_id]]
        best = max((score for score in (best, *scores) if score is not None), default=None)
        steps.append(Step(trials=len(rows), rows_evaluated=evaluated, best=best))
    return steps, [Seen(number=number, row=row) for number, row in enumerate(rows.values(), start=1)]
