"""The table of what a screen predicted of points, beside what their trials gave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsweep.analysis.drawing.chart import Table
from clipsweep.analysis.screens.prediction import Prediction
from clipsweep.analysis.screens.screens import Screens
from clipsweep.analysis.winners.point import Point, label_place, label_rates
from clipsweep.analysis.winners.scores import mean_score
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.trial import VALIDATION, PromptSet

SHOWN, LEAST_RANKED = 10, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A point that was predicted and is complete.

    Attributes:
        point: The point.
        predicted: By the screen.
        gain: Of its score over the untouched model's, both on all validation rows.
    """

    point: Point
    predicted: Prediction
    gain: float


def predicted_table(standings: Standings, screens: Screens, metric: str) -> Table:
    """The complete points of which a screen expected most; no rows where none is complete.

    Args:
        standings: Points with their trials.
        screens: What was predicted.
        metric: Column of scores that points are judged by.
    """
    seen = [each for point in standings.points if (each := _seen(standings, point, screens, metric)) is not None]
    first = sorted(seen, key=lambda each: -each.predicted.gain)[:SHOWN]
    return Table(
        name="predicted",
        title="Predicted and seen",
        caption=_caption(seen),
        columns=("shots", "module", "layer", "clip rate", "predicted gain", "its standard error", "gain seen"),
        rows=[
            (
                *(each.point.shots, each.point.modules, label_place(each.point.clips), label_rates(each.point.clips)),
                f"{100 * each.predicted.gain:+.1f}",
                f"{100 * each.predicted.gain_error:.1f}",
                f"{100 * each.gain:+.1f}",
            )
            for each in first
        ],
    )


def _seen(standings: Standings, point: Point, screens: Screens, metric: str) -> Seen | None:
    """A point with its prediction; None where it clips nothing, is not complete, or was not screened."""
    rows = standings.rows
    score, untouched = (mean_score(each, rows, metric) for each in (point.trial_ids, point.baseline_ids))
    if all(clip.is_idle for clip in point.clips) or score is None or untouched is None:
        return None
    seeds = [rows[trial_id].demo_seed for trial_id in point.trial_ids]
    prompt_sets = [PromptSet(shots=point.shots, demo_seed=seed, split=VALIDATION) for seed in seeds]
    predicted = screens.predict_mean(prompt_sets, point.clips)
    return None if predicted is None else Seen(point=point, predicted=predicted, gain=score - untouched)


def _caption(seen: Sequence[Seen]) -> str:
    words = (
        f"Points gained, of the {min(len(seen), SHOWN)} complete points of which the screen expected most, on rows of "
        f"validation: predicted by one backward pass before the search began, and seen by trials."
    )
    order = _rank_correlation([each.predicted.gain for each in seen], [each.gain for each in seen])
    return words if order is None else f"{words} Rank correlation over all {len(seen)} complete points: {order:+.2f}."


def _rank_correlation(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's; None of too few values, or where all of one are equal."""
    if len(first) < LEAST_RANKED or min(len(set(first)), len(set(second))) < 2:
        return None
    from scipy.stats import spearmanr  # loading it takes longer than most commands

    return float(spearmanr(first, second)[0])
