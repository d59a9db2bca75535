"""Who won, and by how much: winners on validation, their paired gain over the baseline."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.store.table import Row, unpack_outcomes
from clipsweep.analysis.winners.smoothing import gain_so_far, have_margins
from clipsweep.trials.spec.trial import Clip, TrialState

CONFIDENCE = 0.95
RESAMPLES = 9999
BEST_MEAN, ONE_STANDARD_ERROR = "best_mean", "one_standard_error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a study's space, and the trials that answer it.

    Attributes:
        clips: What is clipped; nothing for a baseline point.
        shots: Demonstrations in the prompt.
        trial_ids: Validation trial of each demonstration seed, in the study's order.
        baseline_ids: Their baselines.
        test_ids: The trials on the test split; empty where the task has none.
        baseline_test_ids: Their baselines.
        metric: Column of scores that it is judged by, higher being better.
        rule: How the winner is picked among its like: by ``BEST_MEAN``, or by ``ONE_STANDARD_ERROR`` the one with the
            fewest parameters that is no more than one standard error behind the best.
    """

    clips: tuple[Clip, ...]
    shots: int
    trial_ids: tuple[str, ...]
    baseline_ids: tuple[str, ...]
    test_ids: tuple[str, ...] = ()
    baseline_test_ids: tuple[str, ...] = ()
    metric: str = "accuracy"
    rule: str = BEST_MEAN

    @property
    def single(self) -> Clip | None:
        """The clip, where there is one alone."""
        return self.clips[0] if len(self.clips) == 1 else None

    @property
    def modules(self) -> str | None:
        """The clipped module, or several joined by ``+``; None for a baseline point."""
        return join_modules(self.clips)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Accuracy gained over the baseline on the same examples.

    Attributes:
        estimate: Mean of the paired differences, as a fraction.
        low: Lower end of the 95 % bootstrap interval.
        high: Upper end.
        p_value: Exact sign test over examples, two-sided; with one demonstration seed it is McNemar's.
        split: Where it was measured.
    """

    estimate: float
    low: float
    high: float
    p_value: float
    split: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Winner:
    """The point that won among some group, beside its baseline.

    Attributes:
        point: The winner.
        score: What it is judged by on validation, averaged over demonstration seeds.
        spread: Standard deviation of that over the seeds; None with one.
        baseline_score: The same for its baseline.
        baseline_spread: The same for its baseline.
        test_scores: Mean test accuracy of both, once that has run.
        gain: On test where that has been run, else on validation.
        rows: Stored rows of the first demonstration seed: ``winner``, ``baseline``, ``winner_test``, ``baseline_test``.
        considered: Distinct trials that the winner was picked from, those that a race stopped among them.
    """

    point: Point
    score: float
    spread: float | None
    baseline_score: float
    baseline_spread: float | None
    test_scores: tuple[float, float] | None
    gain: Gain
    rows: dict[str, Row | None]
    considered: int


def join_modules(clips: Iterable[Clip]) -> str | None:
    """The clipped module, or several joined by ``+``; None for no clips."""
    return "+".join(sorted({clip.module for clip in clips})) or None


def describe_clips(clips: Iterable[Clip]) -> str:
    """Name what is clipped: ``mlp of layer 4 at clip rate 0.95``, several joined by ``and``; empty for no clips."""
    return " and ".join(f"{clip.module} of layer {clip.layer} at clip rate {clip.clip_rate:g}" for clip in clips)


def describe_point(point: Point) -> str:
    """Name a point: ``mlp of layer 4 at clip rate 0.95, 10 shots``, or the untouched model."""
    clips = describe_clips(clip for clip in point.clips if clip.clip_rate)
    return f"{clips or 'the untouched model'}, {point.shots} shots"


def mean_score(trial_ids: Sequence[str], rows: Mapping[str, Row], metric: str) -> float | None:
    """Mean over demonstration seeds of one column of scores; None unless there are some and all are complete."""
    scores = _seed_scores(trial_ids, rows, metric)
    return float(np.mean(scores)) if scores else None


def estimated_score(point: Point, rows: Mapping[str, Row]) -> float | None:
    """Accuracy that a point is expected to have on all rows: its baseline's, and its gain on those that it has seen.

    None unless all its trials have scores, and its baselines are complete; and of points judged by another metric.
    """
    ids = zip(point.trial_ids, point.baseline_ids, strict=True)  # both one for each seed, at 0 shots one for all
    pairs = [(rows.get(trial), rows.get(baseline)) for trial, baseline in ids]
    found = [(row, untouched) for row, untouched in pairs if row and untouched and has_scores(row)]
    if point.metric != "accuracy" or len(found) < len(pairs) or not all(is_complete(each) for _, each in found):
        return None
    gains = [gain_so_far(row, untouched, smoothed=have_margins([row, untouched])) for row, untouched in found]
    return float(np.mean([untouched["accuracy"] for _, untouched in found]) + np.mean(gains))


def seed_spread(trial_ids: Sequence[str], rows: Mapping[str, Row], metric: str) -> float | None:
    """Sample standard deviation over demonstration seeds; None with fewer than two, or while some is not complete."""
    scores = _seed_scores(trial_ids, rows, metric)
    return float(np.std(scores, ddof=1)) if len(scores) > 1 else None


def _seed_scores(trial_ids: Sequence[str], rows: Mapping[str, Row], metric: str) -> list[float]:
    found = [rows[trial_id][metric] for trial_id in trial_ids if is_complete(rows.get(trial_id))]
    return found if len(found) == len(trial_ids) else []


def is_complete(row: Row | None) -> bool:
    """Whether a trial has a row with scores."""
    return row is not None and row["state"] == TrialState.COMPLETE.value


def has_scores(row: Row | None) -> bool:
    """Whether a trial is complete, or was stopped by a race."""
    return row is not None and row["state"] in (TrialState.COMPLETE.value, TrialState.PRUNED.value)


def pick(points: Iterable[Point], rows: Mapping[str, Row]) -> Point | None:
    """The winner by the points' rule; of equals the first in the study's order, as in the paper's Algorithm 1."""
    best, best_score = None, -math.inf
    points = list(points)
    for point in points:
        score = mean_score(point.trial_ids, rows, point.metric)
        if score is not None and score > best_score:
            best, best_score = point, score
    if best is None or best.rule == BEST_MEAN:
        return best
    best_outcomes = _mean_outcomes([rows[each] for each in best.trial_ids])
    near = [
        point
        for point in points
        if mean_score(point.trial_ids, rows, point.metric) is not None
        and _not_far_behind(_mean_outcomes([rows[each] for each in point.trial_ids]), best_outcomes)
    ]
    return min(near, key=lambda point: rows[point.trial_ids[0]]["parameters_kept"])


def _mean_outcomes(rows: Sequence[Row]) -> NDArray[np.float64]:
    """Outcome of each example, averaged over demonstration seeds."""
    return np.asarray(np.mean([unpack_outcomes(row) for row in rows], axis=0, dtype=float))


def _not_far_behind(outcomes: NDArray[np.float64], best: NDArray[np.float64]) -> bool:
    """Whether it is within one standard error of the best: that of their paired difference over the same examples."""
    behind = best - outcomes
    return bool(behind.mean() <= behind.std(ddof=1) / math.sqrt(len(behind)))


def find_winner(points: Sequence[Point], rows: Mapping[str, Row]) -> Winner | None:
    """Pick the winner of ``points`` and measure its gain; None while no point, or no baseline, is complete."""
    point = pick(points, rows)
    baseline_score = None if point is None else mean_score(point.baseline_ids, rows, point.metric)
    if point is None or baseline_score is None:
        return None
    test_score = mean_score(point.test_ids, rows, "accuracy")
    baseline_test_score = mean_score(point.baseline_test_ids, rows, "accuracy")
    tested = None if test_score is None or baseline_test_score is None else (test_score, baseline_test_score)
    pairs = (point.test_ids, point.baseline_test_ids) if tested else (point.trial_ids, point.baseline_ids)
    return Winner(
        point=point,
        score=mean_score(point.trial_ids, rows, point.metric) or 0.0,
        spread=seed_spread(point.trial_ids, rows, point.metric),
        baseline_score=baseline_score,
        baseline_spread=seed_spread(point.baseline_ids, rows, point.metric),
        test_scores=tested,
        gain=measure_gain(*([rows[trial_id] for trial_id in ids] for ids in pairs)),
        rows={
            "winner": rows[point.trial_ids[0]],
            "baseline": rows[point.baseline_ids[0]],
            "winner_test": rows[point.test_ids[0]] if tested else None,
            "baseline_test": rows[point.baseline_test_ids[0]] if tested else None,
        },
        considered=len({each for one in points for each in one.trial_ids if has_scores(rows.get(each))}),
    )


def group_points(points: Sequence[Point]) -> dict[tuple[int, str], list[Point]]:
    """Points by shots and module, in that order; a baseline point competes in each group of its shots."""
    modules = sorted({point.modules for point in points if point.modules is not None})
    groups: dict[tuple[int, str], list[Point]] = {}
    for point in points:
        for module in modules if point.modules is None else [point.modules]:
            groups.setdefault((point.shots, module), []).append(point)
    return dict(sorted(groups.items()))


def find_winners(points: Sequence[Point], rows: Mapping[str, Row]) -> dict[tuple[int, str], Winner]:
    """The winner of each shots and module that has one."""
    winners = {key: find_winner(group, rows) for key, group in group_points(points).items()}
    return {key: winner for key, winner in winners.items() if winner is not None}


def winning_points(points: Sequence[Point], rows: Mapping[str, Row]) -> list[Point]:
    """The points to be run on test rows: the winner overall, and that of each shots and module.

    A point whose baseline is not complete has no gain to measure, and is left out.
    """
    picked = [pick(group, rows) for group in (points, *group_points(points).values())]
    return [
        point
        for point in picked
        if point is not None and mean_score(point.baseline_ids, rows, point.metric) is not None
    ]


def measure_gain(clipped: Sequence[Row], baseline: Sequence[Row]) -> Gain:
    """Paired gain over examples: percentile bootstrap and exact sign test (both from scipy).

    An example counts once however many demonstration seeds there are: its differences are averaged first.

    Args:
        clipped: A row for each demonstration seed, over the same examples.
        baseline: The baseline's row of each seed.
    """
    from scipy import stats  # takes longer to import than a study's status takes to tell

    differences = _mean_outcomes(clipped) - _mean_outcomes(baseline)
    low = high = float(differences.mean())
    if differences.any():
        resampled = stats.bootstrap(
            (differences,),
            np.mean,
            n_resamples=RESAMPLES,
            confidence_level=CONFIDENCE,
            method="percentile",
            batch=100,
            rng=np.random.default_rng(0),
        )
        low, high = map(float, resampled.confidence_interval)
    gained, lost = int(np.sum(differences > 0)), int(np.sum(differences < 0))
    p_value = stats.binomtest(gained, gained + lost).pvalue if gained + lost else 1.0
    return Gain(
        estimate=float(differences.mean()), low=low, high=high, p_value=float(p_value), split=clipped[0]["split"]
    )


def winners_document(
    winner: Winner, groups: Mapping[tuple[int, str], Winner], jsonable: Callable[[Row], Row]
) -> dict[str, Any]:
    """The document that ``clipsweep best --json`` prints; ``jsonable`` turns a stored row into plain JSON values."""
    rows = {name: None if row is None else jsonable(row) for name, row in winner.rows.items()}
    return {
        **rows,
        "gain": asdict(winner.gain),
        "trials_considered": winner.considered,
        "by_shots_and_module": [
            {
                "shots": shots,
                "module": module,
                "clips": [asdict(clip) for clip in each.point.clips],
                "layer": each.point.single.layer if each.point.single else None,
                "clip_rate": each.point.single.clip_rate if each.point.single else None,
                "metric": each.point.metric,
                "score": each.score,
                "spread": each.spread,
                "baseline": each.baseline_score,
                "baseline_spread": each.baseline_spread,
                "gain": asdict(each.gain),
            }
            for (shots, module), each in groups.items()
        ],
    }
