"""How a search went: the best so far against trials and against rows evaluated, and which trials were stopped when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.store.rows import Attempts
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import mean_of
from clipsweep.trials.spec.result import TrialState


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
        stopped: Whether a race stopped it, or holds it back.
    """

    number: int
    row: StoredRow
    stopped: bool


def trace_search(history: Sequence[StoredRow], points: Sequence[Point]) -> tuple[list[Step], list[Seen]]:
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
    metric = points[0].metric if points else "accuracy"
    last: dict[str, tuple[int, int, TrialState]] = {}  # by trial its last attempt, and the examples that it has seen
    scores: dict[str, float] = {}  # of complete trials
    steps: list[Step] = []
    evaluated, best = 0, None
    for number, (trial_id, state, n_examples, score) in enumerate(_looked_at(history, metric)):
        if trial_id not in points_of or not state.has_scores:
            continue
        _, before, _ = last.get(trial_id, (0, 0, state))
        last[trial_id] = number, n_examples, state
        scores.pop(trial_id, None)
        if state is TrialState.COMPLETE and score is not None:
            scores[trial_id] = score
        if before == n_examples:
            continue  # the race has stopped it, and nothing was evaluated
        evaluated += n_examples - before
        for point in points_of[trial_id] if trial_id in scores else ():
            found = _mean(point, scores) if point.can_win else None
            if found is not None and (best is None or found > best):
                best = found
        steps.append(Step(trials=len(last), rows_evaluated=evaluated, best=best))
    seen = enumerate(last.values(), start=1)
    return steps, [
        Seen(number=place, row=history[number], stopped=state is not TrialState.COMPLETE)
        for place, (number, _, state) in seen
    ]


def _mean(point: Point, scores: Mapping[str, float]) -> float | None:
    """The mean score of a point all of whose trials are complete."""
    found = [scores[trial_id] for trial_id in point.trial_ids if trial_id in scores]
    return mean_of(found) if len(found) == len(point.trial_ids) else None


def _looked_at(history: Sequence[StoredRow], metric: str) -> Iterator[tuple[str, TrialState, int, float | None]]:
    """Trial, state, examples and score of each attempt; column by column where there may be many."""
    if isinstance(history, Attempts):
        table = history.columns(["trial_id", "state", "n_examples", metric])
        ids, states, counts, scores = (column.to_pylist() for column in table.columns)
        yield from zip(ids, map(TrialState, states), counts, scores, strict=True)
    else:
        for row in history:
            score = row.score(metric) if row.has_scores else None
            yield row.trial_id, row.state, row.n_examples, score
