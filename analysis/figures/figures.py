"""Figures for any study: score against clip rate (the paper's 1), condition number by layer (its 3), and its search."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.colors import qualitative, sample_colorscale

from clipsweep.analysis.store.table import Row
from clipsweep.analysis.winners.pareto import Rated
from clipsweep.analysis.winners.search_trace import Seen, Step, trace_search
from clipsweep.analysis.winners.winner import (
    Point,
    describe_clips,
    estimated_score,
    group_points,
    mean_score,
    pick,
    seed_spread,
)
from clipsweep.trials.spec.clip import Clip

HEIGHT_PX = 320
STAR = {"symbol": "star", "size": 16, "color": "#d62728", "line": {"color": "white", "width": 1}}
LINE_COLORS = [color for color in qualitative.D3 if color.lower() != STAR["color"]]
NAMED_SITES = 3
FLAT_MARGIN = 0.01  # of a score, around a line that stays where it is
EVERY_LAYER_TICKED = 12
ESTIMATED = "circle-open"
STOPPED_COLOR, FINISHED_COLOR = "#9aa3b2", LINE_COLORS[0]
PLOT_CONFIG = {"responsive": True, "displaylogo": False, "displayModeBar": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionLine:
    """Condition numbers of one module.

    Attributes:
        module: Its name.
        values: By layer, as far as measured; infinite where a matrix is singular.
        chosen: Layers that they chose.
    """

    module: str
    values: Mapping[int, float]
    chosen: tuple[int, ...] = ()


def condition_figure(lines: Sequence[ConditionLine]) -> go.Figure:
    """Condition number by layer on a log axis, a line for each module, stars at the chosen layers.

    An infinite condition number leaves a gap, as no axis holds it; a star there is left out too.
    """
    figure = go.Figure()
    for number, line in enumerate(lines):
        color = LINE_COLORS[number % len(LINE_COLORS)]
        figure.add_scatter(
            x=sorted(line.values),
            y=[_drawn(line.values[layer]) for layer in sorted(line.values)],
            name=line.module,
            mode="lines+markers",
            line={"color": color},
            hovertemplate=f"{line.module} of layer %{{x}}: %{{y:.4g}}",
        )
    chosen = [(layer, line) for line in lines for layer in line.chosen]
    if chosen:
        sites = ", ".join(f"{line.module} of layer {layer}" for layer, line in chosen)
        figure.add_scatter(
            x=[layer for layer, _ in chosen],
            y=[_drawn(line.values[layer]) for layer, line in chosen],
            name=f"clipped: {sites}" if len(chosen) <= NAMED_SITES else "clipped layers",
            mode="markers",
            marker=STAR,
            hovertemplate="clipped: layer %{x}",
        )
    layers = {layer for line in lines for layer in line.values}
    _lay_out(figure, "layer", "condition number (log scale)")
    figure.update_xaxes(dtick=1 if len(layers) <= EVERY_LAYER_TICKED else None)
    figure.update_yaxes(type="log", exponentformat="power")
    return figure


def _drawn(value: float) -> float | None:
    return value if math.isfinite(value) else None


def figure_panels(points: Sequence[Point], rows: Mapping[str, Row]) -> list[tuple[str, go.Figure]]:
    """One panel for each shots and module: its title and its figure. Points of several clips have no place in one."""
    drawn = [point for point in points if len(point.clips) < 2]
    return [
        (f"{module} clipped, {shots} shots", _panel(group, rows))
        for (shots, module), group in group_points(drawn).items()
    ]


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
    _lay_out(figure, axis, "validation score")
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
            y=[each.row["n_examples"] for each in chosen],
            text=[_describe(each.row) for each in chosen],
            name=name,
            mode="markers",
            marker={"color": color, "size": 7},
            hovertemplate="%{text}",
        )
    _lay_out(figure, "trial, in the order they began", "validation rows")
    figure.update_yaxes(rangemode="tozero")
    return figure


def _describe(row: Row) -> str:
    what = describe_clips(Clip(**clip) for clip in row["clips"])
    return f"{what or 'the untouched model'}, {row['shots']} shots: {row['accuracy']:.4f} on {row['n_examples']} rows"


def front_figure(rated: Sequence[Rated], front: Sequence[Rated]) -> go.Figure:
    """Score against parameters kept: every complete point, and the front as a line of steps."""
    figure = go.Figure()
    metric = rated[0].point.metric.replace("_", " ")
    beaten = [each for each in rated if each not in front]
    for name, chosen, mode in (("other points", beaten, "markers"), ("front", front, "lines+markers")):
        figure.add_scatter(
            x=[each.parameters for each in chosen],
            y=[each.score for each in chosen],
            name=name,
            mode=mode,
            line={"shape": "hv", "color": STAR["color"] if chosen is front else LINE_COLORS[0]},
            marker={"color": STAR["color"] if chosen is front else LINE_COLORS[0]},
            hovertemplate="%{x} parameters: %{y:.4f}",
        )
    _lay_out(figure, "parameters kept", f"validation {metric}")
    return figure


def legend_of(figure: go.Figure) -> list[tuple[str, str, str]]:
    """Name, colour and mark (``line``, ``dash``, ``star`` or ``dot``) of each trace."""
    entries = []
    for trace in figure.data:
        marked = trace.mode == "markers"
        mark = (trace.marker.symbol or "dot") if marked else trace.line.dash or "line"
        entries.append((trace.name, trace.marker.color if marked else trace.line.color, mark))
    return entries


def _panel(points: Sequence[Point], rows: Mapping[str, Row]) -> go.Figure:
    figure = go.Figure()
    metric = points[0].metric
    clipped = [(point.single, point) for point in points if point.single is not None]
    rates = [f"{rate:g}" for rate in sorted({clip.clip_rate for clip, _ in clipped})]
    layers = sorted({clip.layer for clip, _ in clipped})
    colors = sample_colorscale("Viridis", [index / max(1, len(layers) - 1) * 0.9 for index in range(len(layers))])
    scores = {point: mean_score(point.trial_ids, rows, metric) for _, point in clipped}
    unfinished = [point for point, score in scores.items() if score is None]
    estimates = {point: found for point in unfinished if (found := estimated_score(point, rows)) is not None}
    for layer, color in zip(layers, colors, strict=True):
        at = {f"{clip.clip_rate:g}": point for clip, point in clipped if clip.layer == layer}
        line = [at.get(rate) for rate in rates]  # a rate without a row leaves a gap
        figure.add_scatter(
            x=rates,
            y=[None if point is None else estimates.get(point, scores[point]) for point in line],
            error_y=_spreads(line, rows),
            name=f"layer {layer}",
            mode="lines+markers",
            line={"color": color},
            marker={"symbol": [ESTIMATED if point in estimates else "circle" for point in line]},
            text=["estimated from the rows seen" if point in estimates else "" for point in line],
            hovertemplate="clip rate %{x}: %{y:.4f} %{text}",
        )
    if estimates:
        marker = {"symbol": ESTIMATED, "color": STOPPED_COLOR}
        figure.add_scatter(x=[None], y=[None], name="estimated from fewer rows", mode="markers", marker=marker)
    baseline = mean_score(points[0].baseline_ids, rows, metric)
    if baseline is not None:
        figure.add_scatter(
            x=[rates[0], rates[-1]],
            y=[baseline, baseline],
            name="baseline",
            mode="lines",
            line={"color": "#555", "dash": "dash"},
            hovertemplate="baseline: %{y:.4f}",
        )
    best = pick([point for _, point in clipped], rows)
    if best is not None and best.single is not None:
        layer, rate = best.single.layer, best.single.clip_rate
        figure.add_scatter(
            x=[f"{rate:g}"],
            y=[mean_score(best.trial_ids, rows, metric)],
            name=f"best: layer {layer} at {rate:g}" if rate else "best: untouched",
            mode="markers",
            marker=STAR,
            hovertemplate="best: %{y:.4f}",
        )
    _lay_out(figure, "clip rate", f"validation {metric.replace('_', ' ')}")
    figure.update_xaxes(type="category", categoryarray=rates, categoryorder="array")
    figure.update_yaxes(tickformat=".3~f")
    return figure


def _spreads(points: Sequence[Point | None], rows: Mapping[str, Row]) -> dict[str, Any] | None:
    """Bars of one standard deviation over demonstration seeds; None where there is one seed."""
    spreads = [point and seed_spread(point.trial_ids, rows, point.metric) for point in points]
    return {"type": "data", "array": spreads, "thickness": 1, "width": 3} if any(spreads) else None


def _lay_out(figure: go.Figure, x_title: str, y_title: str) -> None:
    """What all figures have in common."""
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT_PX,
        margin={"l": 56, "r": 12, "t": 12, "b": 48},
        showlegend=False,  # the page's own legend wraps at any width
        hovermode="closest",
        xaxis={"title": {"text": x_title}},
        yaxis={"title": {"text": y_title}},
    )
