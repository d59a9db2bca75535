"""Several tasks in one score: guards that a winner must not break, and what each task says of the winner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point, ScoredTask
from clipsweep.analysis.winners.scores import scores_by_task
from clipsweep.trials.scores.metrics import METRICS

EQUAL = 1e-9  # losses that differ by less are equal: fractions of rows are not exact in binary


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenGuard:
    """A guard task on which a point loses more than it may.

    Attributes:
        task: Its name.
        metric: Column of scores that it is judged by.
        lost: By how much the point is worse than its baseline, in the metric, over demonstration seeds.
        lose_at_most: By how much it may be.
    """

    task: str
    metric: str
    lost: float
    lose_at_most: float


def broken_guards(point: Point, rows: Mapping[str, StoredRow]) -> list[BrokenGuard]:
    """The guard tasks on which a point is worse than its baseline by more than it may be; none while that is unknown.

    The untouched model is as good as its baseline, and breaks none.
    """
    if all(task.lose_at_most is None for task in point.tasks):
        return []
    scores, untouched = (
        scores_by_task(each, rows, point.metric, point.tasks) for each in (point.trial_ids, point.baseline_ids)
    )
    broken = []
    for task, score, before in zip(point.tasks, scores, untouched, strict=True):
        if task.lose_at_most is None or score is None or before is None:
            continue
        metric = METRICS[point.metric if task.share else task.metric]
        lost = metric.goodness(before) - metric.goodness(score)
        if lost > task.lose_at_most + EQUAL:
            broken.append(BrokenGuard(task=task.name, metric=metric.name, lost=lost, lose_at_most=task.lose_at_most))
    return broken


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskScores:
    """What a winner scores on one of several tasks, beside its baseline, as means over demonstration seeds.

    Attributes:
        task: The task, and what it counts.
        score: On validation, by its metric.
        baseline_score: The same of the baseline.
        test_scores: Of both on test, once that has run.
    """

    task: ScoredTask
    score: float
    baseline_score: float
    test_scores: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Barred:
    """A point that is better than the winner, but breaks a guard: the best of such.

    Attributes:
        point: What is clipped.
        score: What it is judged by on validation.
        guards: Those that it breaks.
    """

    point: Point
    score: float
    guards: tuple[BrokenGuard, ...]


def task_scores(point: Point, rows: Mapping[str, StoredRow]) -> tuple[TaskScores, ...]:
    """What a point scores on each of several tasks, none of one; it and its baseline are complete on validation."""
    if not point.tasks:
        return ()
    ids = (point.trial_ids, point.baseline_ids, point.test_ids, point.baseline_test_ids)
    columns = [scores_by_task(each, rows, point.metric, point.tasks) for each in ids]
    return tuple(
        TaskScores(
            task=task,
            score=score or 0.0,
            baseline_score=baseline or 0.0,
            test_scores=None if test is None or untouched is None else (test, untouched),
        )
        for task, score, baseline, test, untouched in zip(point.tasks, *columns, strict=True)
    )


def tasks_document(by_task: Sequence[TaskScores], barred: Barred | None) -> dict[str, Any]:
    """Keys ``tasks`` and ``barred`` of ``clipsweep best --json``; of one task there are none."""
    if not by_task:
        return {}
    return {"tasks": list(map(_task_document, by_task)), "barred": None if barred is None else _barred_document(barred)}


def _barred_document(barred: Barred) -> dict[str, Any]:
    return {
        "shots": barred.point.shots,
        "clips": [asdict(clip) for clip in barred.point.clips],
        "score": barred.score,
        "guards": [asdict(guard) for guard in barred.guards],
    }


def _task_document(scores: TaskScores) -> dict[str, Any]:
    """An entry of key ``tasks``."""
    task, (test, untouched) = scores.task, scores.test_scores or (None, None)
    return {
        "task": task.name,
        "share": task.share,
        "metric": task.metric,
        "lose_at_most": task.lose_at_most,
        "score": scores.score,
        "baseline_score": scores.baseline_score,
        "test_score": test,
        "baseline_test_score": untouched,
    }
