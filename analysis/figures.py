"""Figure 1 of the paper for any study: score against clip rate, a line for each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from analysis.table import Row
from analysis.winners import Point, group_points, mean_accuracy, pick

HEIGHT_PX = 320
PLOT_CONFIG = {"responsive": True, "displaylogo": False, "displayModeBar": False}


def figure_panels(points: Sequence[Point], rows: Mapping[str, Row]) -> list[tuple[str, go.Figure]]:
    """One panel for each shots and module: its title and its figure."""
    return [
        (f"{module} clipped, {shots} shots", _panel(group, rows))
        for (shots, module), group in group_points(points).items()
    ]


def legend_of(figure: go.Figure) -> list[tuple[str, str, str]]:
    """Name, colour and mark (``line``, ``dash`` or ``star``) of each trace."""
    entries = []
    for trace in figure.data:
        star = trace.mode == "markers"
        mark = "star" if star else trace.line.dash or "line"
        entries.append((trace.name, trace.marker.color if star else trace.line.color, mark))
    return entries


def _panel(points: Sequence[Point], rows: Mapping[str, Row]) -> go.Figure:
    figure = go.Figure()
    clipped = [point for point in points if point.layer is not None]
    rates = [f"{rate:g}" for rate in sorted({point.clip_rate for point in clipped})]
    layers = sorted({point.layer for point in clipped if point.layer is not None})
    colors = sample_colorscale("Viridis", [index / max(1, len(layers) - 1) * 0.9 for index in range(len(layers))])
    for layer, color in zip(layers, colors, strict=True):
        line = sorted((point for point in clipped if point.layer == layer), key=lambda point: point.clip_rate)
        figure.add_scatter(
            x=[f"{point.clip_rate:g}" for point in line],
            y=[mean_accuracy(point.trial_ids, rows) for point in line],
            name=f"layer {layer}",
            mode="lines+markers",
            line={"color": color},
            hovertemplate="clip rate %{x}: %{y:.4f}",
        )
    baseline = next((mean_accuracy(point.trial_ids, rows) for point in points if point.layer is None), None)
    if baseline is not None:
        figure.add_scatter(
            x=[rates[0], rates[-1]],
            y=[baseline, baseline],
            name="baseline",
            mode="lines",
            line={"color": "#555", "dash": "dash"},
            hovertemplate="baseline: %{y:.4f}",
        )
    best = pick(clipped, rows)
    if best is not None:
        figure.add_scatter(
            x=[f"{best.clip_rate:g}"],
            y=[mean_accuracy(best.trial_ids, rows)],
            name=f"best: layer {best.layer} at {best.clip_rate:g}" if best.clip_rate else "best: untouched",
            mode="markers",
            marker={"symbol": "star", "size": 16, "color": "#d62728", "line": {"color": "white", "width": 1}},
            hovertemplate="best: %{y:.4f}",
        )
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT_PX,
        margin={"l": 56, "r": 12, "t": 12, "b": 48},
        showlegend=False,  # the page's own legend wraps at any width
        hovermode="closest",
        xaxis={"title": {"text": "clip rate"}, "type": "category", "categoryarray": rates, "categoryorder": "array"},
        yaxis={"title": {"text": "validation accuracy"}, "tickformat": ".2f"},
    )
    return figure
