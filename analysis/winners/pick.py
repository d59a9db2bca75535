"""Which point wins, by the rule of the study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.interval import standard_error
from clipsweep.analysis.winners.point import BEST_MEAN, FEWEST_OF_EQUALS, Point
from clipsweep.analysis.winners.scores import mean_example_scores, mean_goodness
from clipsweep.analysis.winners.several import broken_guards


def pick(points: Iterable[Point], rows: Mapping[str, StoredRow]) -> Point | None:
    """The winner by the points' rule.

    Of equals it is the first in the study's order, as in the paper's Algorithm 1, unless the rule says that the one
    with the fewest parameters wins.

    Returns:
        None while no point is complete.
    """
    return pick_scored(complete(points, rows), rows)


def pick_scored(scored: Sequence[tuple[Point, float]], rows: Mapping[str, StoredRow]) -> Point | None:
    """The same of complete points, each with what ``complete`` tells of it."""
    if not scored:
        return None
    best, score = max(scored, key=lambda pair: pair[1])  # of equals the first
    if best.rule == BEST_MEAN:
        return best
    if best.rule == FEWEST_OF_EQUALS:
        return _fewest([point for point, each in scored if each == score], rows)
    leading, weights = _example_scores(best, rows), rows[best.trial_ids[0]].example_weights
    near = [point for point, _ in scored if _is_not_far_behind(leading - _example_scores(point, rows), weights)]
    return _fewest(near, rows)


def _fewest(points: Sequence[Point], rows: Mapping[str, StoredRow]) -> Point:
    """The one that keeps the fewest parameters; of equals the first."""
    return min(points, key=lambda point: rows[point.trial_ids[0]].parameters_kept)


def complete(points: Iterable[Point], rows: Mapping[str, StoredRow]) -> list[tuple[Point, float]]:
    """Points that can win, as far as they are complete, with how good they are: their score, more being better.

    Those that break a guard cannot.
    """
    return [(point, good) for point, good in scored(points, rows) if not broken_guards(point, rows)]


def scored(points: Iterable[Point], rows: Mapping[str, StoredRow]) -> list[tuple[Point, float]]:
    """The same with those that break a guard."""
    able = (point for point in points if point.can_win)
    scores = ((point, mean_goodness(point.trial_ids, rows, point.metric, point.tasks)) for point in able)
    return [(point, score) for point, score in scores if score is not None]


def _example_scores(point: Point, rows: Mapping[str, StoredRow]) -> NDArray[np.float64]:
    return mean_example_scores([rows[trial_id] for trial_id in point.trial_ids])


def _is_not_far_behind(behind: NDArray[np.float64], weights: NDArray[np.float64] | None) -> bool:
    """Whether it is within one standard error of the best: that of their paired difference over the same examples.

    One example tells nothing of that error: then only what is not behind at all is near.
    """
    if len(behind) == 1:
        return bool(behind[0] <= 0)
    return bool(np.average(behind, weights=weights) <= standard_error(behind, weights))
