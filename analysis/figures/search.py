"""How a search went: the best score so far, and the rows that each trial has seen."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import plotly.graph_objects as go

from clipsweep.analysis.figures.style import FINISHED_COLOR, STOPPED_COLOR, in_words, lay_out
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point, describe_clips, describe_shots
from clipsweep.analysis.winners.search_trace import Seen, Step, trace_search

MOST_STEPS = 5000
FLAT_MARGIN = 0.01  # of a score, around a line that stays where it is


def search_panels(history: Sequence[StoredRow], points: Sequence[Point]) -> list[tuple[str, go.Figure]]:
    """Titles and figures of the report's search section; how far each trial came is shown where a race stopped some."""
    traced, seen = trace_search(history, points)
    if not any(step.best is not None for step in traced):
        return []
    steps = _drawn(traced)
    best = f"best {in_words(points[0].metric)} so far"
    panels = [
        (f"{best}, by trials", _curve("trials", [step.trials for step in steps], steps)),
        (f"{best}, by rows evaluated", _curve("rows evaluated", [step.rows_evaluated for step in steps], steps)),
    ]
    if any(each.stopped for each in seen):
        panels.append(("Rows that each trial has seen", _stops(seen)))
    return panels


def _drawn(steps: Sequence[Step]) -> Sequence[Step]:
    """The steps that a line is drawn through; of very many those where it rises, which give the same line."""
    if len(steps) <= MOST_STEPS:
        return steps
    rises = [step for before, step in pairwise(steps) if step.best != before.best]
    return [steps[0], *rises, steps[-1]]


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
    reached = {step.best for step in steps if step.best is not None}
    if len(reached) == 1:  # or the axis would run from 0 to twice that
        figure.update_yaxes(range=[min(reached) - FLAT_MARGIN, max(reached) + FLAT_MARGIN])
    return figure


def _stops(seen: Sequence[Seen]) -> go.Figure:
    figure = go.Figure()
    for name, stopped, color in (("stopped", True, STOPPED_COLOR), ("complete", False, FINISHED_COLOR)):
        chosen = [each for each in seen if each.stopped is stopped]
        figure.add_scatter(
            x=[each.number for each in chosen],
            y=[each.row.n_examples for each in chosen],
            text=[_describe(each.row) for each in chosen],
            name=name,
            mode="markers",
            marker={"color": color, "size": 7},
            hovertemplate="%{text}",
        )
    lay_out(figure, "trial, in the order they began", "validation rows")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _describe(row: StoredRow) -> str:
    what = describe_clips(row.clips) or "the untouched model"
    return f"{what}, {describe_shots(row.shots)}: {row.accuracy:.4f} on {row.n_examples} rows"
