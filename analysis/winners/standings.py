"""Who won, and by how much: winners on validation, and their gain over the baseline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from clipsweep.analysis.row.row import StoredRow, jsonable
from clipsweep.analysis.winners.gain import Comparison, Gain
from clipsweep.analysis.winners.pick import pick_scored, scored
from clipsweep.analysis.winners.point import Point, ScoredTask, group_points
from clipsweep.analysis.winners.scores import has_scores, mean_score, seed_spread, state_of
from clipsweep.analysis.winners.several import (
    Barred,
    BrokenGuard,
    TaskScores,
    broken_guards,
    task_scores,
    tasks_document,
)
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.spec.result import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class Rivals:
    """The clipped points that the untouched model won against: how many, by how far they have come.

    Attributes:
        complete: That could have won.
        passed_over: Complete too, but a composition did not keep them.
        stopped: By a race.
        failed: Of which a trial failed.
        under_way: The rest.
    """

    complete: int = 0
    passed_over: int = 0
    stopped: int = 0
    failed: int = 0
    under_way: int = 0

    @property
    def none_yet(self) -> bool:
        """Whether it is too early to say that it won: none has come to an end, or those that are left may win."""
        if self.complete or self.passed_over:
            return False
        return self.under_way > 0 or not (self.stopped or self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The point that won among some, beside its baseline.

    Attributes:
        point: The winner.
        score: What it is judged by on validation, averaged over demonstration seeds.
        spread: Standard deviation of that over the seeds; None with one.
        baseline_score: The same for its baseline.
        baseline_spread: The same for its baseline.
        test_scores: What both score on test by the metric that they are judged by, once that has run.
        test_scores_of_gain: The same by the metric that gains are measured in.
        comparison: What its gain is measured on: test rows where those have been run, else validation rows.
        rows: Stored rows of the first demonstration seed: ``winner``, ``baseline``, ``winner_test``, ``baseline_test``.
        considered: Distinct trials that the winner was picked from, those that a race stopped among them.
        considered_points: The distinct points that these are.
        rivals: Where the untouched model won, what it won against; else None.
        by_task: What it scores on each of several tasks; none where there is one.
        barred: A better point that breaks a guard; None where there is none.
    """

    point: Point
    score: float
    spread: float | None
    baseline_score: float
    baseline_spread: float | None
    test_scores: tuple[float, float] | None
    test_scores_of_gain: tuple[float, float] | None
    comparison: Comparison
    rows: Mapping[str, StoredRow | None]
    considered: int
    considered_points: int
    rivals: Rivals | None = None
    by_task: tuple[TaskScores, ...] = ()
    barred: Barred | None = None

    @property
    def is_untouched(self) -> bool:
        """Whether it leaves the model as it is."""
        return self.rivals is not None

    @property
    def is_alone(self) -> bool:
        """Whether it is the untouched model before any clip is complete: no winner yet, but what is best so far."""
        return self.rivals is not None and self.rivals.none_yet

    @property
    def gain(self) -> Gain:
        """On test where that has been run, else on validation; measured when it is first asked for."""
        return self.comparison.gain


class Standings:
    """A study's points with their rows: who won overall, and of each shots and module.

    What follows from them is found when it is first asked for, once.
    """

    def __init__(self, points: Sequence[Point], rows: Mapping[str, StoredRow]) -> None:
        """Take what is known.

        Args:
            points: Of the study, in its order.
            rows: Latest attempt at each trial, by trial identity.
        """
        self.points = points
        self.rows = rows
        self._comparisons: dict[tuple[tuple[str, ...], tuple[str, ...]], Comparison] = {}

    @cached_property
    def _scores(self) -> dict[int, float]:
        """How good complete points are by the identity of the object: each is asked for overall and in its group."""
        return {id(point): good for point, good in scored(self.points, self.rows)}

    @cached_property
    def _broken(self) -> dict[int, list[BrokenGuard]]:
        """Guards that complete points break, by the identity of the object; those that break none are left out."""
        judged = ((point, broken_guards(point, self.rows)) for point in self.points if id(point) in self._scores)
        return {id(point): guards for point, guards in judged if guards}

    @cached_property
    def winner(self) -> Winner | None:
        """The winner overall; None while no point, or no baseline, is complete."""
        return self._winner_of(self.points)

    @cached_property
    def winners(self) -> dict[tuple[int, str], Winner]:
        """The winner of each shots and module that has one."""
        winners = {key: self._winner_of(group) for key, group in group_points(self.points).items()}
        return {key: winner for key, winner in winners.items() if winner is not None}

    @property
    def winning_points(self) -> list[Point]:
        """The points to be run on test rows: the winner overall, and that of each shots and module."""
        winners = [self.winner, *self.winners.values()]
        return [winner.point for winner in winners if winner is not None]

    @property
    def picked_from_some(self) -> bool:
        """Whether some points cannot win: those that a composition tried and did not keep."""
        return not all(point.can_win for point in self.points)

    def has_rows(self, point: Point) -> bool:
        """Whether the trials of all demonstration seeds have rows."""
        return all(trial_id in self.rows for trial_id in point.trial_ids)

    def is_evaluated(self, point: Point) -> bool:
        """Whether the trials of all demonstration seeds have scores, on all rows or on some: none of them failed."""
        return all(map(self._is_scored, point.trial_ids))

    def _winner_of(self, points: Sequence[Point]) -> Winner | None:
        scores, broken = self._scores, self._broken
        known = [(point, scores[id(point)]) for point in points if id(point) in scores and id(point) not in broken]
        point = pick_scored(known, self.rows)
        return None if point is None else self._beside_baseline(point, points)

    def _barred(self, winner: Point, among: Iterable[Point]) -> Barred | None:
        """The best of some points that break a guard, if it is better than the winner."""
        scores, barred = self._scores, [point for point in among if id(point) in self._broken]
        best = pick_scored([(point, scores[id(point)]) for point in barred], self.rows)
        both = [] if best is None else [(point, scores[id(point)]) for point in (winner, best)]
        if best is None or pick_scored(both, self.rows) is winner:
            return None
        score = mean_score(best.trial_ids, self.rows, best.metric, best.tasks)
        return Barred(point=best, score=score or 0.0, guards=tuple(self._broken[id(best)]))

    def _beside_baseline(self, point: Point, among: Sequence[Point]) -> Winner | None:
        """A point beside its baseline; None while that is not complete."""
        rows, metric, tasks = self.rows, point.metric, point.tasks
        baseline_score = mean_score(point.baseline_ids, rows, metric, tasks)
        if baseline_score is None:
            return None
        tested = self._test_scores(point, metric)
        return Winner(
            point=point,
            score=mean_score(point.trial_ids, rows, metric, tasks) or 0.0,
            spread=seed_spread(point.trial_ids, rows, metric, tasks),
            baseline_score=baseline_score,
            baseline_spread=seed_spread(point.baseline_ids, rows, metric, tasks),
            test_scores=tested,
            test_scores_of_gain=self._test_scores(point, METRICS[metric].gained),
            comparison=self._comparison(point, on_test=tested is not None),
            rows={
                "winner": rows[point.trial_ids[0]],
                "baseline": rows[point.baseline_ids[0]],
                "winner_test": rows[point.test_ids[0]] if tested else None,
                "baseline_test": rows[point.baseline_test_ids[0]] if tested else None,
            },
            considered=self._count_scored(among),
            considered_points=count_distinct(filter(self._has_scores, among)),
            rivals=None if _clips_some(point) else self._rivals(among),
            by_task=task_scores(point, rows),
            barred=self._barred(point, among),
        )

    def _rivals(self, points: Iterable[Point]) -> Rivals:
        """How far those of these points have come that clip something."""
        return Rivals(**Counter(self._how_far(point) for point in points if _clips_some(point)))

    def _how_far(self, point: Point) -> str:
        """The count of ``Rivals`` that a point belongs to."""
        states = {state_of(trial_id, self.rows) for trial_id in point.trial_ids}
        if states == {TrialState.COMPLETE}:
            return "complete" if point.can_win else "passed_over"
        if TrialState.FAILED in states:
            return "failed"
        return "stopped" if TrialState.PRUNED in states else "under_way"

    def _test_scores(self, point: Point, metric: str) -> tuple[float, float] | None:
        """Mean test score of a point and of its baseline; None until both have run."""
        score = mean_score(point.test_ids, self.rows, metric, point.tasks)
        baseline_score = mean_score(point.baseline_test_ids, self.rows, metric, point.tasks)
        return None if score is None or baseline_score is None else (score, baseline_score)

    def compare(
        self, trial_ids: tuple[str, ...], baseline_ids: tuple[str, ...], tasks: tuple[ScoredTask, ...] = ()
    ) -> Comparison:
        """Trials beside others, seed by seed; all must have rows. The same comparison for the same trials.

        Args:
            trial_ids: Of a point.
            baseline_ids: Of its baseline.
            tasks: Of the point.
        """
        key = trial_ids, baseline_ids  # the winner overall is also that of its group
        if key not in self._comparisons:
            self._comparisons[key] = Comparison(
                clipped=tuple(self.rows[trial_id] for trial_id in trial_ids),
                baseline=tuple(self.rows[trial_id] for trial_id in baseline_ids),
                tasks=tasks,
            )
        return self._comparisons[key]

    def _comparison(self, point: Point, *, on_test: bool) -> Comparison:
        if on_test:
            return self.compare(point.test_ids, point.baseline_test_ids, point.tasks)
        return self.compare(point.trial_ids, point.baseline_ids, point.tasks)

    def _count_scored(self, points: Iterable[Point]) -> int:
        """Distinct trials of these points that have scores."""
        return sum(map(self._is_scored, {trial_id for point in points for trial_id in point.trial_ids}))

    def _has_scores(self, point: Point) -> bool:
        """Whether a trial of the point has scores."""
        return any(map(self._is_scored, point.trial_ids))

    def _is_scored(self, trial_id: str) -> bool:
        return has_scores(trial_id, self.rows)


def count_distinct(points: Iterable[Point]) -> int:
    """How many points there are: those that leave the same ranks, such as those of a clip rate of 0, are one."""
    return len({point.trial_ids for point in points})


def _clips_some(point: Point) -> bool:
    return not all(clip.is_idle for clip in point.clips)


def winners_document(standings: Standings, winner: Winner) -> dict[str, Any]:
    """The document that ``clipsweep best --json`` prints: stored rows, the gain, and the winner of each group.

    ``score`` and what belongs to it are means of ``metric`` over demonstration seeds; the rows are those of the first.
    """
    rows = {name: None if row is None else jsonable(row) for name, row in winner.rows.items()}
    return {
        **rows,
        **_scores(winner),
        "trials_considered": winner.considered,
        "points_considered": winner.considered_points,
        "by_shots_and_module": [
            {"shots": shots, "module": module, **winner_document(each)}
            for (shots, module), each in standings.winners.items()
        ],
        **tasks_document(winner.by_task, winner.barred),
    }


def winner_document(winner: Winner) -> dict[str, Any]:
    """What a winner clips, what it scores and gains: an entry of key ``by_shots_and_module``."""
    point = winner.point
    return {
        "clips": [asdict(clip) for clip in point.clips],
        "layer": point.single.layer if point.single else None,
        "clip_rate": point.single.clip_rate if point.single else None,
        **_scores(winner),
        "baseline": winner.baseline_score,
    }


def _scores(winner: Winner) -> dict[str, Any]:
    """What a winner and its baseline score by its metric, and the gain with what it is measured in."""
    score, baseline_score = winner.test_scores or (None, None)
    return {
        "metric": winner.point.metric,
        "score": winner.score,
        "spread": winner.spread,
        "baseline_score": winner.baseline_score,
        "baseline_spread": winner.baseline_spread,
        "test_score": score,
        "baseline_test_score": baseline_score,
        "gain": asdict(winner.gain),
    }
