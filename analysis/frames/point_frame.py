"""The points of a study as a pandas frame: what each clips, what it scores, and what it gains over the baseline."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas

from clipsweep.analysis.frames.of_tasks import measured_of_tasks, names_of_tasks, tested_of_tasks
from clipsweep.analysis.frames.paired_text import gains_of
from clipsweep.analysis.frames.trial_frame import METRIC, studies_in
from clipsweep.analysis.frames.trial_values import NO_SEED, TrialValues, mean_over_seeds, spread_over_seeds
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.interval import Z
from clipsweep.analysis.winners.point import Point, common_rate, describe_point, join_kinds
from clipsweep.analysis.winners.points_of_rows import points_of_rows
from clipsweep.analysis.winners.scores import estimated_score
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.result import TrialState

CUT_SHORT = {TrialState.PARTIAL.value, TrialState.PRUNED.value}
NO_GAIN = (0.0, 0.0, 0.0, 1.0)  # of the untouched model over itself: estimate, both ends of the interval, p-value
TEST_COLUMNS = ("test_score", "test_baseline", "test_gain", "test_low", "test_high", "test_p_value")


def points_of_trials(trials: pandas.DataFrame, metric: str | None = None) -> pandas.DataFrame:
    """The point frame of a trial frame, of one or several studies; arguments and errors as of ``studies_in``."""
    frames = [point_frame(Standings(points_of_rows(rows, rules), rows)) for rows, rules in studies_in(trials, metric)]
    return join_points(frames)


def join_points(frames: Sequence[pandas.DataFrame]) -> pandas.DataFrame:
    """Point frames of several studies one below the other."""
    filled = [frame for frame in frames if len(frame)]  # an empty one has no types
    joined = pandas.concat(filled, ignore_index=True) if filled else point_frame(Standings([], {}))
    metrics = {frame.attrs[METRIC] for frame in filled}
    joined.attrs = {METRIC: metrics.pop() if len(metrics) == 1 else "accuracy"}
    return joined


def point_frame(standings: Standings) -> pandas.DataFrame:
    """Every point of a study that has rows, a row each, in the study's order.

    Scores are in the metric's unit; gains are fractions, or of text nats for each token, better being above 0.
    ``docs/howto/results.md`` lists the columns.

    Args:
        standings: Of the study. An untouched model that cannot win gets a row all the same.
    """
    points = [*_baselines(standings), *standings.points]
    values = TrialValues.of(standings.rows, _metric(points))
    points = [point for point in points if any(trial_id in standings.rows for trial_id in point.trial_ids)]
    columns = {
        **_identity(points, values),
        **_clips(points),
        **_measured(points, values, standings.rows),
        **_on_test(points, values, standings),
        **_places(points, standings),
    }
    frame = pandas.DataFrame(columns).astype({"layer": "Int64"})
    frame.attrs = {METRIC: _metric(points)}
    return frame


def _metric(points: Sequence[Point]) -> str:
    return points[0].metric if points else "accuracy"


def _baselines(standings: Standings) -> list[Point]:
    """The untouched model at each number of shots where it is no point, as it cannot win."""
    there = {point.shots for point in standings.points if not point.clips}
    missing = {point.shots: point for point in reversed(standings.points) if point.shots not in there}
    return [
        Point(
            clips=(),
            shots=shots,
            trial_ids=point.baseline_ids,
            baseline_ids=point.baseline_ids,
            test_ids=point.baseline_test_ids,
            baseline_test_ids=point.baseline_test_ids,
            metric=point.metric,
            rule=point.rule,
            can_win=False,
            tasks=point.tasks,
        )
        for shots, point in missing.items()
    ]


def _identity(points: Sequence[Point], values: TrialValues) -> dict[str, Any]:
    """Whose points they are."""
    texts = values.texts_of([point.trial_ids for point in points])
    return texts | (names_of_tasks(points) if _have_tasks(points) else {})


def _have_tasks(points: Sequence[Point]) -> bool:
    """Whether several tasks are in their score."""
    return bool(points and points[0].tasks)


def _clips(points: Sequence[Point]) -> dict[str, Any]:
    """What is clipped, in columns and in words."""
    return {
        "shots": [point.shots for point in points],
        "kind": [join_kinds(point.clips) for point in points],
        "module": [point.modules for point in points],
        "layer": [point.clips[0].layer if point.place else None for point in points],
        "place": [point.place for point in points],
        "clip_rate": [math.nan if (rate := common_rate(point.clips)) is None else rate for point in points],
        "clips": [point.clips for point in points],
        "label": [describe_point(point) for point in points],
    }


def _measured(points: Sequence[Point], values: TrialValues, rows: Mapping[str, StoredRow]) -> dict[str, Any]:
    """What the points score and gain on validation."""
    trials = values.numbers([point.trial_ids for point in points])
    baselines = values.numbers([point.baseline_ids for point in points])
    gains = gains_of(values, trials, baselines)
    states = values.states(trials)
    scores = values.scores(trials)
    measured: dict[str, Any] = {
        "n_seeds": np.sum(trials != NO_SEED, axis=1),
        "n_examples": values.seen(trials),
        "state": states,
        "score": mean_over_seeds(scores, trials),
        "estimate": [_estimate(point, state, rows) for point, state in zip(points, states, strict=True)],
        "spread": spread_over_seeds(scores, trials),
        "baseline": mean_over_seeds(values.scores(baselines), baselines),
        "gain": gains.gain,
        "gain_se": gains.standard_error,
        "gained": gains.gained,
        "lost": gains.lost,
        "within_noise": None,  # below, of whichever gain counts
        "parameters_kept": values.first_of(values.parameters_kept, trials),
        "parameters_total": values.first_of(values.parameters_total, trials),
        "operations": values.sum_of(values.operations, trials),
        "seconds": values.sum_of(values.seconds, trials),
    }
    measured |= measured_of_tasks(points, rows) if _have_tasks(points) else {}
    measured["within_noise"] = ~(np.abs(measured["gain"]) > Z * measured["gain_se"])  # also where that is not known
    return measured


def _estimate(point: Point, state: str, rows: Mapping[str, StoredRow]) -> float:
    """What a point that is not complete is expected to score; NaN where that cannot be told."""
    estimate = estimated_score(point, rows) if state in CUT_SHORT else None
    return math.nan if estimate is None else estimate


def _on_test(points: Sequence[Point], values: TrialValues, standings: Standings) -> dict[str, Any]:
    """What the points that have run on test score and gain there; NaN for others."""
    trials = values.numbers([point.test_ids for point in points])
    baselines = values.numbers([point.baseline_test_ids for point in points])
    scores = mean_over_seeds(values.scores(trials), trials)
    untouched = mean_over_seeds(values.scores(baselines), baselines)
    if _have_tasks(points):
        scores, untouched = tested_of_tasks(points, standings.rows)
    gains = np.full((len(points), 4), math.nan)
    for number in np.flatnonzero(np.isfinite(scores) & np.isfinite(untouched)).tolist():
        point = points[number]
        if point.test_ids == point.baseline_test_ids:
            gains[number] = NO_GAIN
        else:
            gain = standings.compare(point.test_ids, point.baseline_test_ids, point.tasks).gain
            gains[number] = gain.estimate, gain.low, gain.high, gain.p_value
    both = np.isfinite(gains[:, 0])
    columns = [np.where(both, scores, math.nan), np.where(both, untouched, math.nan), *gains.T]
    return dict(zip(TEST_COLUMNS, columns, strict=True))


def _places(points: Sequence[Point], standings: Standings) -> dict[str, Any]:
    """Who won, and which trials answer for a point; those without a row are left out."""
    winner = {id(standings.winner.point)} if standings.winner is not None else set()
    best = {id(each.point) for each in standings.winners.values()}
    return {
        "is_baseline": [not point.clips for point in points],
        "is_best": [id(point) in best for point in points],
        "is_winner": [id(point) in winner for point in points],
        "trial_ids": [_stored(point.trial_ids, standings) for point in points],
        "baseline_ids": [_stored(point.baseline_ids, standings) for point in points],
        "test_ids": [_stored(point.test_ids, standings) for point in points],
    }


def _stored(trial_ids: Iterable[str], standings: Standings) -> tuple[str, ...]:
    return tuple([trial_id for trial_id in trial_ids if trial_id in standings.rows])
