"""What a point scores: means over demonstration seeds of its trials' stored rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.winners.point import Point, ScoredTask
from clipsweep.analysis.winners.smoothing import gain_so_far, have_margins
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.spec.result import TrialState

ADDED_IN_TURN = 8  # from so many on numpy adds in pairs
T = TypeVar("T")


def mean_score(
    trial_ids: Sequence[str], rows: Mapping[str, StoredRow], metric: str, tasks: Sequence[ScoredTask] = ()
) -> float | None:
    """Mean over demonstration seeds of one column of scores; None unless there are some and all are complete.

    Args:
        trial_ids: Of a point, on one split.
        rows: Latest attempt at each trial.
        metric: The column.
        tasks: As ``Point.tasks``: of several the mean is weighted by their shares.
    """
    if tasks:
        return _weighted(scores_by_task(trial_ids, rows, metric, tasks), tasks)
    scores = _seed_scores(trial_ids, rows, metric)
    return mean_of(scores) if scores else None


def mean_goodness(
    trial_ids: Sequence[str], rows: Mapping[str, StoredRow], metric: str, tasks: Sequence[ScoredTask] = ()
) -> float | None:
    """The same mean, turned so that more is better."""
    score = mean_score(trial_ids, rows, metric, tasks)
    return None if score is None else METRICS[metric].goodness(score)


def scores_by_task(
    trial_ids: Sequence[str], rows: Mapping[str, StoredRow], metric: str, tasks: Sequence[ScoredTask]
) -> list[float | None]:
    """What each of several tasks scores over its seeds; a task of share 0 by its own metric, which may be another."""
    parts = zip(tasks, by_task(trial_ids, tasks), strict=True)
    return [mean_score(part, rows, metric if task.share else task.metric) for task, part in parts]


def by_task(values: Sequence[T], tasks: Sequence[ScoredTask]) -> list[Sequence[T]]:
    """What belongs to the trials of a point, cut by task; all of it in one piece where there is one task alone."""
    if not tasks:
        return [values]
    parts, first = [], 0
    for task in tasks:
        parts.append(values[first : first + task.n_trials])
        first += task.n_trials
    return parts


def _weighted(scores: Sequence[float | None], tasks: Sequence[ScoredTask]) -> float | None:
    """The mean of tasks' scores by their shares; None unless all are there, also those that do not count."""
    known = [score for score in scores if score is not None]
    if len(known) < len(tasks):
        return None
    return reduce(add, [task.share * score for task, score in zip(tasks, known, strict=True) if task.share])


def mean_of(scores: Sequence[float]) -> float:
    """The mean as numpy gives it, which adds few numbers one after the other, but takes most of the time for it."""
    return reduce(add, scores) / len(scores) if len(scores) < ADDED_IN_TURN else float(np.mean(scores))


def seed_spread(
    trial_ids: Sequence[str], rows: Mapping[str, StoredRow], metric: str, tasks: Sequence[ScoredTask] = ()
) -> float | None:
    """Sample standard deviation over demonstration seeds; None with fewer than two, or while some is not complete.

    Of several tasks that of the score of each seed; a task without demonstrations scores the same with all.
    """
    if mean_score(trial_ids, rows, metric, tasks) is None:
        return None
    shares = [task.share for task in tasks] or [1.0]
    parts = [part for share, part in zip(shares, by_task(trial_ids, tasks), strict=True) if share]
    of_seeds = [np.array(_seed_scores(part, rows, metric)) for part in parts]
    scores = reduce(add, [share * each for share, each in zip(filter(None, shares), of_seeds, strict=True)])
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else None


def estimated_score(point: Point, rows: Mapping[str, StoredRow]) -> float | None:
    """Score that a point is expected to have on all rows: its baseline's, and its gain on those that it has seen.

    Returns:
        An accuracy, or the nats of a token of text; None unless all its trials have scores and its baselines are
        complete. Also None for a point that is judged by another metric.
    """
    pairs, metric = beside_baselines(point, rows), METRICS[point.metric]
    if not metric.tells_gains or len(pairs) < len(point.trial_ids):
        return None
    gains = [gain_so_far(row, untouched, smoothed=have_margins([row, untouched])) for row, untouched in pairs]
    untouched_goodness = np.mean([untouched.goodness(point.metric) for _, untouched in pairs])
    return metric.goodness(float(untouched_goodness + np.mean(gains)))


def beside_baselines(point: Point, rows: Mapping[str, StoredRow]) -> list[tuple[StoredRow, StoredRow]]:
    """Rows of a point's trials that have scores, each with its baseline's, where that is complete."""
    pairs = []
    for trial_id, baseline_id in zip(point.trial_ids, point.baseline_ids, strict=True):  # one pair for each seed
        row, untouched = rows.get(trial_id), rows.get(baseline_id)
        if row is not None and row.has_scores and untouched is not None and untouched.is_complete:
            pairs.append((row, untouched))
    return pairs


def values_of(rows: Mapping[str, StoredRow], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Some fields of each row, in the order of the rows; quicker than to ask each row where there are many."""
    if isinstance(rows, LatestRows):
        return rows.values_of(names)
    return (tuple([getattr(row, name) for name in names]) for row in rows.values())


def packed_of(rows: Mapping[str, StoredRow], name: str) -> Iterator[bytes | None]:
    """A column of bytes of each row, in the order of the rows."""
    if isinstance(rows, LatestRows):
        return rows.packed(name)
    return (row.cells.value(name, row.number) for row in rows.values())


def has_scores(trial_id: str, rows: Mapping[str, StoredRow]) -> bool:
    """Whether a trial was evaluated, on all rows or on the first of them."""
    state = state_of(trial_id, rows)
    return state is not None and state.has_scores


def state_of(trial_id: str, rows: Mapping[str, StoredRow]) -> TrialState | None:
    """How the latest attempt at a trial ended; None where there is none."""
    if isinstance(rows, LatestRows):
        return rows.state(trial_id)
    row = rows.get(trial_id)
    return None if row is None else row.state


def mean_example_scores(rows: Sequence[StoredRow]) -> NDArray[np.float64]:
    """What each example counts, averaged over demonstration seeds: shape ``(n_examples,)``."""
    if len(rows) == 1:
        return rows[0].example_scores  # the same in a fifth of the time
    return np.asarray(np.mean([row.example_scores for row in rows], axis=0, dtype=float))


def _seed_scores(trial_ids: Sequence[str], rows: Mapping[str, StoredRow], metric: str) -> list[float]:
    """The score of each seed; none at all while one of them is not complete."""
    if isinstance(rows, LatestRows):  # of many rows, whose values need not become Python one by one
        found = [rows.complete_score(trial_id, metric) for trial_id in trial_ids]
    else:
        found = [_complete_score(rows.get(trial_id), metric) for trial_id in trial_ids]
    scores = [score for score in found if score is not None]
    return scores if len(scores) == len(found) else []


def _complete_score(row: StoredRow | None, metric: str) -> float | None:
    return row.score(metric) if row is not None and row.is_complete else None
