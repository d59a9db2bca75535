"""So many trials as a page can show: all of a study's, or a fair sample that holds the points that matter."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings

MOST_TRIALS, DRAWN_TRIALS = 12_000, 6_000  # shown one by one; and of a study that has more


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What of a study is shown one by one.

    Attributes:
        standings: Of the points that are shown.
        points_total: How many the study has rows of.
    """

    standings: Standings
    points_total: int

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out."""
        return len(self.standings.points) == self.points_total

    @property
    def words(self) -> str:
        """That it is a sample; empty where it is not."""
        if self.is_whole:
            return ""
        shown = f"{len(self.standings.points):,} of {self.points_total:,} points"
        return (
            f"This study is too large to show every point: the figures and the table of trials show {shown}, drawn at "
            f"random, with every winner and baseline among them. How the search went is not drawn, as that takes all "
            f"of them. The answer, the winners and all counts are from all."
        )


def sample_points(
    standings: Standings, kept: Iterable[Point], most: int = MOST_TRIALS, drawn: int = DRAWN_TRIALS
) -> Sample:
    """The points that are shown: all, or so many that are drawn, always the same ones.

    Args:
        standings: Of the whole study.
        kept: Points that are shown whatever is drawn, besides winners and baselines.
        most: Validation trials of a study that is shown whole.
        drawn: About how many are drawn from a larger one.
    """
    points = standings.points
    n_trials = sum(len(point.trial_ids) for point in points)  # without demonstrations all seeds are one
    if n_trials <= most:
        return Sample(standings=standings, points_total=len(points))
    numbers = np.random.default_rng(0).choice(len(points), drawn * len(points) // n_trials, replace=False).tolist()
    wanted = {id(point) for point in (*standings.winning_points, *kept)}
    wanted |= {id(point) for point in points if not point.clips} | {id(points[number]) for number in numbers}
    shown = [point for point in points if id(point) in wanted]
    return Sample(standings=Standings(shown, _rows_of(shown, standings.rows)), points_total=len(points))


def _rows_of(points: Iterable[Point], rows: Mapping[str, StoredRow]) -> Mapping[str, StoredRow]:
    """The rows of all trials that some points ask for."""
    parts = ((*each.trial_ids, *each.baseline_ids, *each.test_ids, *each.baseline_test_ids) for each in points)
    trial_ids = {trial_id for part in parts for trial_id in part}
    if isinstance(rows, LatestRows):
        return rows.only(trial_ids)
    return {trial_id: row for trial_id, row in rows.items() if trial_id in trial_ids}
