"""Two objectives: which points are not beaten in both, and how much of the plane they cover."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import mean_score
from clipsweep.analysis.winners.several import broken_guards
from clipsweep.trials.scores.metrics import METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A point with both its objectives.

    Attributes:
        point: What was clipped.
        score: Mean over demonstration seeds of what the study is judged by.
        parameters: Parameters kept; fewer is better.
    """

    point: Point
    score: float
    parameters: int

    @property
    def goodness(self) -> float:
        """The score, turned so that more is better."""
        return METRICS[self.point.metric].goodness(self.score)


def rate_points(points: Iterable[Point], rows: Mapping[str, StoredRow]) -> list[Rated]:
    """The points that are complete and break no guard, the untouched model included, with both objectives."""
    scored = ((point, mean_score(point.trial_ids, rows, point.metric, point.tasks)) for point in points)
    return [
        Rated(point=point, score=score, parameters=rows[point.trial_ids[0]].parameters_kept)
        for point, score in scored
        if score is not None and not broken_guards(point, rows)
    ]


def pareto_front(rated: Iterable[Rated]) -> list[Rated]:
    """The points that no other beats: none scores as much with fewer parameters, or more with as few.

    Returns:
        Fewest parameters first, scores getting better strictly; of points equal in both the first.
    """
    front: list[Rated] = []
    for each in sorted(rated, key=lambda one: (one.parameters, -one.goodness)):  # stable: of equals the first
        if not front or each.goodness > front[-1].goodness:
            front.append(each)
    return front


def hypervolume(values: Iterable[tuple[float, float]], reference: tuple[float, float]) -> float:
    """Area that points of (score up, parameters down) dominate, as far as a reference point.

    Args:
        values: Score and parameters of each point; dominated ones add nothing.
        reference: The least score and the most parameters that count; points beyond it add nothing.

    Returns:
        In units of score times parameters.
    """
    least, most = reference
    area, reached = 0.0, least
    for score, parameters in sorted(values, key=lambda value: (value[1], -value[0])):
        if score > reached and parameters < most:
            area += (score - reached) * (most - parameters)
            reached = score
    return area


def front_document(front: Sequence[Rated]) -> list[dict[str, Any]]:
    """Key ``front`` of ``clipsweep best --json``."""
    return [_describe(each) for each in front]


def _describe(rated: Rated) -> dict[str, Any]:
    point = rated.point
    return {
        "shots": point.shots,
        "clips": [asdict(clip) for clip in point.clips],
        "metric": point.metric,
        "score": rated.score,
        "parameters_kept": rated.parameters,
        "trial_ids": list(point.trial_ids),
    }
