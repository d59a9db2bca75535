"""The table of what a screen predicted of points, beside what their trials gave."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.screens.prediction import Prediction
from clipsweep.analysis.screens.screens import Screens
from clipsweep.analysis.theory.ranks import spearman
from clipsweep.analysis.winners.point import Point, label_place, label_rates
from clipsweep.analysis.winners.scores import beside_baselines, mean_score
from clipsweep.analysis.winners.smoothing import have_margins, values_so_far
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.trial import VALIDATION, PromptSet

SHOWN, LEAST_RANKED = 10, 8
STOPPED, UNKNOWN = "~", "–"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A point that was predicted and evaluated.

    Attributes:
        point: The point.
        predicted: By the screen.
        gain: Of its score over the untouched model's, both on the rows that it has seen.
        is_complete: Whether these are all rows of validation; else a race has stopped it.
    """

    point: Point
    predicted: Prediction
    gain: float
    is_complete: bool


def predicted_table(standings: Standings, screens: Screens, metric: str) -> Table:
    """The points of which a screen expected most, of those that are complete or stopped by a race.

    Args:
        standings: Points with their trials.
        screens: What was predicted.
        metric: Column of scores that points are judged by; in others than accuracy stopped points are left out.
    """
    seen = [each for point in standings.points if (each := _seen(standings, point, screens, metric)) is not None]
    first = sorted(seen, key=lambda each: -each.predicted.gain)[:SHOWN]
    return Table(
        name="predicted",
        title="Predicted and seen",
        caption=_caption(seen, first),
        columns=(
            *("shots", "module", "layer", "clip rate", "predicted gain", "its standard error"),
            *("gain seen", "standard error of that", "rows seen"),
        ),
        rows=[
            (
                *(each.point.shots, each.point.modules, label_place(each.point.clips), label_rates(each.point.clips)),
                f"{100 * each.predicted.gain:+.1f}",
                f"{100 * each.predicted.gain_error:.1f}",
                f"{100 * each.gain:+.1f}{'' if each.is_complete else ' ' + STOPPED}",
                *_how_sure(standings, each, metric),
            )
            for each in first
        ],
    )


def _seen(standings: Standings, point: Point, screens: Screens, metric: str) -> Seen | None:
    """A point with its prediction; None where it clips nothing, was not evaluated, or was not screened."""
    rows = standings.rows
    if all(clip.is_idle for clip in point.clips):
        return None
    score, untouched = (mean_score(each, rows, metric) for each in (point.trial_ids, point.baseline_ids))
    if score is not None and untouched is not None:
        gain = score - untouched
    elif metric == "accuracy" and len(differences := _differences(standings, point)):
        gain = float(differences.mean())
    else:
        return None
    seeds = [rows[trial_id].demo_seed for trial_id in point.trial_ids]
    prompt_sets = [PromptSet(shots=point.shots, demo_seed=seed, split=VALIDATION) for seed in seeds]
    predicted = screens.predict_mean(prompt_sets, point.clips)
    if predicted is None:
        return None
    return Seen(point=point, predicted=predicted, gain=gain, is_complete=score is not None)


def _differences(standings: Standings, point: Point) -> NDArray[np.float64]:
    """What each row that all of a point's trials have seen gains, averaged over demonstration seeds; empty for none.

    Smoothed where a race has stopped one of them, and margins are known: then few rows say more.
    """
    pairs = beside_baselines(point, standings.rows)
    if len(pairs) < len(point.trial_ids):
        return np.zeros(0)
    count = min(row.n_examples for row, _ in pairs)
    complete = all(row.is_complete for row, _ in pairs)
    smoothed = not complete and have_margins(row for pair in pairs for row in pair)
    gains = [
        values_so_far(row, count, smoothed=smoothed) - values_so_far(untouched, count, smoothed=smoothed)
        for row, untouched in pairs
    ]
    return np.asarray(np.mean(gains, axis=0), dtype=np.float64)


def _how_sure(standings: Standings, seen: Seen, metric: str) -> tuple[str, str]:
    """The standard error of the gain seen, over rows, which is known of accuracies alone; and how many rows."""
    differences = _differences(standings, seen.point)
    if metric != "accuracy" or len(differences) < 2:
        return UNKNOWN, f"{len(differences):,}"
    return f"{100 * differences.std(ddof=1) / math.sqrt(len(differences)):.1f}", f"{len(differences):,}"


def _caption(seen: Sequence[Seen], shown: Sequence[Seen]) -> str:
    words = (
        f"Points gained, of the {len(shown)} evaluated points of which the screen expected most: predicted by one "
        f"backward pass over some rows of validation before the search began, and seen by trials on other rows or more."
    )
    if not all(each.is_complete for each in shown):
        words += (
            f" {STOPPED}: stopped by the race, and estimated from the rows that it has seen, which differ in number."
        )
    order = _rank_correlation([each.predicted.gain for each in seen], [each.gain for each in seen])
    return words if order is None else f"{words} Rank correlation over all {len(seen)} evaluated points: {order:+.2f}."


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's; None of too few values, or where all of one are equal."""
    if len(first) < LEAST_RANKED or min(len(set(first)), len(set(second))) < 2:
        return None
    return spearman(first, second)
