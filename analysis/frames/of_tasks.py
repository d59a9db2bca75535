"""Columns of the point frame where a point's score is that of several tasks: means by their shares."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.frames.paired import paired_gains
from clipsweep.analysis.frames.trial_values import Numbers, TrialValues
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import by_task, mean_score, seed_spread

Floats = NDArray[np.float64]


def names_of_tasks(points: Sequence[Point]) -> dict[str, Any]:
    """The task of each point: the names of all that are in its score."""
    return {"task": ["+".join(task.name for task in point.tasks) for point in points]}


def measured_of_tasks(
    points: Sequence[Point], values: TrialValues, rows: Mapping[str, StoredRow]
) -> dict[str, Sequence[Any] | NDArray[Any]]:
    """What points of several tasks score and gain on validation, in place of the columns for one.

    The gain is the mean of the tasks' gains by their shares, its error follows from theirs, and examples are counted
    over the tasks that count.
    """
    parts = list(_parts(points, values))
    gains = [(share, paired_gains(values.packed, values.n_examples, *trials)) for share, trials in parts if share]
    gain = np.sum([share * each.gain for share, each in gains], axis=0)
    error = np.sqrt(np.sum([(share * each.standard_error) ** 2 for share, each in gains], axis=0))
    return {
        "n_seeds": [max(task.n_trials for task in point.tasks) for point in points],
        "n_examples": np.sum([values.seen(trials) for _, (trials, _) in parts], axis=0),
        "score": _each(points, rows, "trial_ids"),
        "spread": [_or_nan(seed_spread(each.trial_ids, rows, each.metric, each.tasks)) for each in points],
        "baseline": _each(points, rows, "baseline_ids"),
        "gain": gain,
        "gain_se": error,
        "gained": np.sum([each.gained for _, each in gains], axis=0),
        "lost": np.sum([each.lost for _, each in gains], axis=0),
    }


def tested_of_tasks(points: Sequence[Point], rows: Mapping[str, StoredRow]) -> tuple[Floats, Floats]:
    """What points of several tasks score on test, and what their baselines do; NaN where that has not run."""
    return _each(points, rows, "test_ids"), _each(points, rows, "baseline_test_ids")


def _parts(points: Sequence[Point], values: TrialValues) -> Iterator[tuple[float, tuple[Numbers, Numbers]]]:
    """Of each task its share, with the trials of all points on it and their baselines."""
    for number, task in enumerate(points[0].tasks):
        trials = [by_task(point.trial_ids, point.tasks)[number] for point in points]
        baselines = [by_task(point.baseline_ids, point.tasks)[number] for point in points]
        yield task.share, (values.numbers(trials), values.numbers(baselines))


def _each(points: Sequence[Point], rows: Mapping[str, StoredRow], name: str) -> Floats:
    """The score of each point's trials of a name."""
    scores = (mean_score(getattr(point, name), rows, point.metric, point.tasks) for point in points)
    return np.array([_or_nan(score) for score in scores], dtype=float)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
