"""Who won, and by how much: winners on validation, their paired gain over the baseline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy import stats

from analysis.table import Row, unpack_outcomes
from trials.values import TrialState

CONFIDENCE = 0.95
RESAMPLES = 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of a study's space, and the trials that answer it.

    Attributes:
        layer: 0-based block; None for a baseline point.
        module: Clipped module; None for a baseline point.
        clip_rate: Fraction of singular values dropped; 0 for a baseline point.
        shots: Demonstrations in the prompt.
        trial_ids: Validation trial of each demonstration seed, in the study's order.
        baseline_ids: Their baselines.
        test_ids: The trials on the test split; empty where the task has none.
        baseline_test_ids: Their baselines.
    """

    layer: int | None
    module: str | None
    clip_rate: float
    shots: int
    trial_ids: tuple[str, ...]
    baseline_ids: tuple[str, ...]
    test_ids: tuple[str, ...] = ()
    baseline_test_ids: tuple[str, ...] = ()


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
    """The point with the best mean score of some group, beside its baseline.

    Attributes:
        point: The winner.
        score: Its validation accuracy, averaged over demonstration seeds.
        baseline_score: The same for its baseline.
        test_scores: Mean test accuracy of both, once that has run.
        gain: On test where that has been run, else on validation.
        rows: Stored rows of the first demonstration seed: ``winner``, ``baseline``, ``winner_test``, ``baseline_test``.
        considered: Distinct trials that the winner was picked from.
    """

    point: Point
    score: float
    baseline_score: float
    test_scores: tuple[float, float] | None
    gain: Gain
    rows: dict[str, Row | None]
    considered: int


def mean_accuracy(trial_ids: Sequence[str], rows: Mapping[str, Row]) -> float | None:
    """Mean accuracy over demonstration seeds; None unless there are some and all are complete."""
    found = [rows[trial_id] for trial_id in trial_ids if is_complete(rows.get(trial_id))]
    if not found or len(found) < len(trial_ids):
        return None
    return float(np.mean([row["accuracy"] for row in found]))


def is_complete(row: Row | None) -> bool:
    """Whether a trial has a row with scores."""
    return row is not None and row["state"] == TrialState.COMPLETE.value


def pick(points: Iterable[Point], rows: Mapping[str, Row]) -> Point | None:
    """The point with the best mean score; of equals the first in the study's order, as in the paper's Algorithm 1."""
    best, best_score = None, -1.0
    for point in points:
        score = mean_accuracy(point.trial_ids, rows)
        if score is not None and score > best_score:
            best, best_score = point, score
    return best


def find_winner(points: Sequence[Point], rows: Mapping[str, Row]) -> Winner | None:
    """Pick the winner of ``points`` and measure its gain; None while no point, or no baseline, is complete."""
    point = pick(points, rows)
    baseline_score = None if point is None else mean_accuracy(point.baseline_ids, rows)
    if point is None or baseline_score is None:
        return None
    test_score = mean_accuracy(point.test_ids, rows)
    baseline_test_score = mean_accuracy(point.baseline_test_ids, rows)
    tested = None if test_score is None or baseline_test_score is None else (test_score, baseline_test_score)
    pairs = (point.test_ids, point.baseline_test_ids) if tested else (point.trial_ids, point.baseline_ids)
    return Winner(
        point=point,
        score=mean_accuracy(point.trial_ids, rows) or 0.0,
        baseline_score=baseline_score,
        test_scores=tested,
        gain=measure_gain(*([rows[trial_id] for trial_id in ids] for ids in pairs)),
        rows={
            "winner": rows[point.trial_ids[0]],
            "baseline": rows[point.baseline_ids[0]],
            "winner_test": rows[point.test_ids[0]] if tested else None,
            "baseline_test": rows[point.baseline_test_ids[0]] if tested else None,
        },
        considered=len({each for one in points for each in one.trial_ids if is_complete(rows.get(each))}),
    )


def group_points(points: Sequence[Point]) -> dict[tuple[int, str], list[Point]]:
    """Points by shots and module, in that order; a baseline point competes in each group of its shots."""
    modules = sorted({point.module for point in points if point.module is not None})
    groups: dict[tuple[int, str], list[Point]] = {}
    for point in points:
        for module in modules if point.module is None else [point.module]:
            groups.setdefault((point.shots, module), []).append(point)
    return dict(sorted(groups.items()))


def find_winners(points: Sequence[Point], rows: Mapping[str, Row]) -> dict[tuple[int, str], Winner]:
    """The winner of each shots and module that has one."""
    winners = {key: find_winner(group, rows) for key, group in group_points(points).items()}
    return {key: winner for key, winner in winners.items() if winner is not None}


def winning_points(points: Sequence[Point], rows: Mapping[str, Row]) -> list[Point]:
    """The points to be run on test rows: the winner overall, and that of each shots and module."""
    winners = [find_winner(points, rows), *find_winners(points, rows).values()]
    return [winner.point for winner in winners if winner is not None]


def measure_gain(clipped: Sequence[Row], baseline: Sequence[Row]) -> Gain:
    """Paired gain over examples: percentile bootstrap and exact sign test (both from scipy).

    An example counts once however many demonstration seeds there are: its differences are averaged first.

    Args:
        clipped: A row for each demonstration seed, over the same examples.
        baseline: The baseline's row of each seed.
    """
    ours = np.array([unpack_outcomes(row) for row in clipped], dtype=float)
    theirs = np.array([unpack_outcomes(row) for row in baseline], dtype=float)
    differences = (ours - theirs).mean(axis=0)
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
                "layer": each.point.layer,
                "clip_rate": each.point.clip_rate,
                "accuracy": each.score,
                "baseline": each.baseline_score,
                "gain": asdict(each.gain),
            }
            for (shots, module), each in groups.items()
        ],
    }
