"""How a search went: the best so far against trials and against rows evaluated, and which trials were stopped when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from analysis.figures import LINE_COLORS, lay_out
from analysis.table import Row
from analysis.winners import Point, mean_score
from trials.values import TrialState

STOPPED_COLOR, FINISHED_COLOR = "#9aa3b2", LINE_COLORS[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Where a search was after one attempt at a trial on validation.

    Attributes:
        trials: Distinct trials begun.
        rows_evaluated: Over all trials; a row that several trials were evaluated on counts for each.
        best: Best score of a point whose trials are all complete; None before the first.
    """

    trials: int
    rows_evaluated: int
    best: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """How far a trial came.

    Attributes:
        number: Its place among the trials, by their first attempt; from 1.
        row: Its latest stored row.
    """

    number: int
    row: Row

    @property
    def stopped(self) -> bool:
        """Whether a race stopped it."""
        return bool(self.row["state"] == TrialState.PRUNED.value)


def trace_search(history: Iterable[Row], points: Sequence[Point]) -> tuple[list[Step], list[Seen]]:
    """Follow a search through its stored attempts.

    Args:
        history: Every attempt in the order they finished.
        points: Of the study.

    Returns:
        A step for each attempt, and how far each trial came.
    """
    points_of: dict[str, list[Point]] = defaultdict(list)
    for point in points:
        for trial_id in point.trial_ids:
            points_of[trial_id].append(point)
    rows: dict[str, Row] = {}
    steps: list[Step] = []
    evaluated, best = 0, None
    for row in history:
        if row["trial_id"] not in points_of or row["state"] == TrialState.FAILED.value:
            continue
        before = rows.get(row["trial_id"])
        evaluated += row["n_examples"] - (before["n_examples"] if before else 0)
        rows[row["trial_id"]] = row
        scores = [mean_score(point.trial_ids, rows, point.metric) for point in points_of[row["trial_id"]]]
        best = max((score for score in (best, *scores) if score is not None), default=None)
        steps.append(Step(trials=len(rows), rows_evaluated=evaluated, best=best))
    return steps, [Seen(number=number, row=row) for number, row in enumerate(rows.values(), start=1)]


def search_panels(history: Iterable[Row], points: Sequence[Point]) -> list[tuple[str, go.Figure]]:
    """Titles and figures of the report's search section; how far each trial came is shown where a race stopped some."""
    steps, seen = trace_search(history, points)
    if not any(step.best is not None for step in steps):
        return []
    metric = f"best {points[0].metric.replace('_', ' ')} so far"
    curves = [
        (f"{metric}, by trials", "trials", [step.trials for step in steps]),
        (f"{metric}, by rows evaluated", "rows evaluated", [step.rows_evaluated for step in steps]),
    ]
    panels = [(title, _curve(axis, counts, steps)) for title, axis, counts in curves]
    return [*panels, ("Rows that each trial has seen", _stops(seen))] if any(each.stopped for each in seen) else panels


def _curve(axis: str, counts: Sequence[int], steps: Sequence[Step]) -> go.Figure:
    figure = go.Figure()
    figure.add_scatter(
        x=counts,
        y=[step.best for step in steps],
        name="best so far",
        mode="lines",
        line={"color": FINISHED_COLOR, "shape": "hv"},
        hovertemplate=f"%{{x}} {axis}: %{{y:.4f}}",
    )
    lay_out(figure, axis, "validation score")
    figure.update_yaxes(tickformat=".4~f")
    return figure


def _stops(seen: Sequence[Seen]) -> go.Figure:
    figure = go.Figure()
    for name, stopped, color in (("stopped", True, STOPPED_COLOR), ("complete", False, FINISHED_COLOR)):
        chosen = [each for each in seen if each.stopped is stopped]
        figure.add_scatter(
            x=[each.number for each in chosen],
            y=[each.row["n_examples"] for each in chosen],
            text=[_describe(each.row) for each in chosen],
            name=name,
            mode="markers",
            marker={"color": color, "size": 7},
            hovertemplate="%{text}",
        )
    lay_out(figure, "trial, in the order they began", "validation rows")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _describe(row: Row) -> str:
    clips = [f"{clip['module']} of layer {clip['layer']} at {clip['clip_rate']:g}" for clip in row["clips"]]
    what = " and ".join(clips) or "the untouched model"
    return f"{what}, {row['shots']} shots: {row['accuracy']:.4f} on {row['n_examples']} rows"
