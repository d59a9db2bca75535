"""Columns of the point frame where a point's score is that of several tasks: means by their shares."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.frames.paired_text import gains_of
from clipsweep.analysis.frames.trial_values import TrialValues
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import by_task, mean_score, seed_spread, values_of

Floats = NDArray[np.float64]


def names_of_tasks(points: Sequence[Point]) -> dict[str, Any]:
    """The task of each point: the names of all that are in its score."""
    return {"task": ["+".join(task.name for task in point.tasks) for point in points]}


def measured_of_tasks(
    points: Sequence[Point], rows: Mapping[str, StoredRow]
) -> dict[str, Sequence[Any] | NDArray[Any]]:
    """What points of several tasks score and gain on validation, in place of the columns for one.

    The gain is the mean of the tasks' gains by their shares, and its error follows from theirs. Examples are those of
    all tasks; gained and lost are counted over the tasks that count in the score.
    """
    seen, gains = [], []
    for number, task in enumerate(points[0].tasks):
        own = TrialValues.of(rows_by_task(rows).get(task.name, {}), points[0].metric if task.share else task.metric)
        trials, baselines = (own.numbers(_ids(points, name, number)) for name in ("trial_ids", "baseline_ids"))
        seen.append(own.seen(trials))
        if task.share:
            gains.append((task.share, gains_of(own, trials, baselines)))
    return {
        "n_seeds": [max(task.n_trials for task in point.tasks) for point in points],
        "n_examples": np.sum(seen, axis=0),
        "score": _each(points, rows, "trial_ids"),
        "spread": [_or_nan(seed_spread(each.trial_ids, rows, each.metric, each.tasks)) for each in points],
        "baseline": _each(points, rows, "baseline_ids"),
        "gain": np.sum([share * each.gain for share, each in gains], axis=0),
        "gain_se": np.sqrt(np.sum([(share * each.standard_error) ** 2 for share, each in gains], axis=0)),
        "gained": np.sum([each.gained for _, each in gains], axis=0),
        "lost": np.sum([each.lost for _, each in gains], axis=0),
    }


def tested_of_tasks(points: Sequence[Point], rows: Mapping[str, StoredRow]) -> tuple[Floats, Floats]:
    """What points of several tasks score on test, and what their baselines do; NaN where that has not run."""
    return _each(points, rows, "test_ids"), _each(points, rows, "baseline_test_ids")


def rows_by_task(rows: Mapping[str, StoredRow]) -> dict[str, Mapping[str, StoredRow]]:
    """Rows by trial identity, for each task its own."""
    tasks = [task for (task,) in values_of(rows, ("task",))]
    if len(set(tasks)) < 2:
        return dict.fromkeys(tasks, rows)
    by_task: dict[str, list[str]] = {}
    for trial_id, task in zip(rows, tasks, strict=True):
        by_task.setdefault(task, []).append(trial_id)
    if isinstance(rows, LatestRows):
        return {task: rows.only(ids) for task, ids in by_task.items()}
    return {task: {trial_id: rows[trial_id] for trial_id in ids} for task, ids in by_task.items()}


def _ids(points: Sequence[Point], name: str, number: int) -> list[Sequence[str]]:
    """The trials of a name of each point, of the task of a number."""
    return [by_task(getattr(point, name), point.tasks)[number] for point in points]


def _each(points: Sequence[Point], rows: Mapping[str, StoredRow], name: str) -> Floats:
    """The score of each point's trials of a name."""
    scores = (mean_score(getattr(point, name), rows, point.metric, point.tasks) for point in points)
    return np.array([_or_nan(score) for score in scores], dtype=float)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
