"""Score against clip rate, a line for each layer: the paper's Figure 1, for any study."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from clipsweep.analysis.figures.style import ESTIMATED, STAR, STOPPED_COLOR, in_words, lay_out
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.pick import pick
from clipsweep.analysis.winners.point import Point, describe_shots, group_points
from clipsweep.analysis.winners.scores import estimated_score, mean_score, seed_spread
from clipsweep.trials.spec.clip import Clip

Rows = Mapping[str, StoredRow]
DARK_SHARE = 0.9


def curve_panels(points: Sequence[Point], rows: Rows) -> list[tuple[str, go.Figure]]:
    """One panel for each shots and module: its title and its figure.

    Points of several clips have no place in one, but for those of a range of layers, clipped alike.
    """
    drawn = [point for point in points if not point.clips or point.place is not None]
    return [
        (f"{module} clipped, {describe_shots(shots)}", _panel(group, rows))
        for (shots, module), group in group_points(drawn).items()
        if any(point.clips for point in group)  # the untouched model alone has no curve
    ]


def _panel(points: Sequence[Point], rows: Rows) -> go.Figure:
    """The curves of the points of one shots and module."""
    figure = go.Figure()
    clipped = {point: point.clips[0] for point in points if point.clips}
    rates = [f"{rate:g}" for rate in sorted({clip.clip_rate for clip in clipped.values()})]
    estimates = _estimates(clipped, rows)
    lines = _lines(clipped)
    for (name, by_rate), color in zip(lines.items(), _colors(len(lines)), strict=True):
        _add_line(figure, name, [by_rate.get(rate) for rate in rates], estimates, rows)  # no point leaves a gap
        figure.data[-1].update(x=rates, line={"color": color})
    if estimates:
        marker = {"symbol": ESTIMATED, "color": STOPPED_COLOR}
        figure.add_scatter(x=[None], y=[None], name="estimated from fewer rows", mode="markers", marker=marker)
    _add_baseline(figure, points[0], rates, rows)
    _add_best(figure, list(clipped), rows)
    lay_out(figure, "clip rate", f"validation {in_words(points[0].metric)}")
    figure.update_xaxes(type="category", categoryarray=rates, categoryorder="array")
    figure.update_yaxes(tickformat=".3~f")
    return figure


def _lines(clipped: Mapping[Point, Clip]) -> dict[str, dict[str, Point]]:
    """By the name of a line its points by clip rate: a line for each layer and range, and for each kind of several."""
    several = len({clip.of_kind for clip in clipped.values()}) > 1
    lines: dict[str, dict[str, Point]] = {}
    for point, clip in sorted(clipped.items(), key=lambda pair: (pair[1].layer, len(pair[0].clips))):
        name = f"{point.place}" + (f", {clip.of_kind.words}" if several else "")
        lines.setdefault(name, {})[f"{clip.clip_rate:g}"] = point
    return lines


def _colors(count: int) -> list[str]:
    """Colours from dark to light, the last of the scale left out: it is too pale on white."""
    shares = [number / max(1, count - 1) * DARK_SHARE for number in range(count)]
    return list(sample_colorscale("Viridis", shares))


def _estimates(points: Iterable[Point], rows: Rows) -> dict[Point | None, float]:
    """What points that are not complete are expected to score."""
    unfinished = [point for point in points if mean_score(point.trial_ids, rows, point.metric) is None]
    estimates = {point: estimated_score(point, rows) for point in unfinished}
    return {point: estimate for point, estimate in estimates.items() if estimate is not None}


def _add_line(
    figure: go.Figure, name: str, line: Sequence[Point | None], estimates: Mapping[Point | None, float], rows: Rows
) -> None:
    """Add the scores of a line's points, those that are estimated as open circles."""

    def score(point: Point | None) -> float | None:
        if point in estimates:
            return estimates[point]
        return None if point is None else mean_score(point.trial_ids, rows, point.metric)

    marks: dict[str, Any] = {}
    if estimates:
        marks = {
            "marker": {"symbol": [ESTIMATED if point in estimates else "circle" for point in line]},
            "text": ["estimated from the rows seen" if point in estimates else "" for point in line],
        }
    figure.add_scatter(
        y=[score(point) for point in line],
        error_y=_spreads(line, rows),
        name=name,
        mode="lines+markers",
        **marks,
        hovertemplate="clip rate %{x}: %{y:.4f}" + (" %{text}" if estimates else ""),
    )


def _spreads(points: Sequence[Point | None], rows: Rows) -> dict[str, Any] | None:
    """Bars of one standard deviation over demonstration seeds; None where there is one seed."""
    spreads = [point and seed_spread(point.trial_ids, rows, point.metric) for point in points]
    return {"type": "data", "array": spreads, "thickness": 1, "width": 3} if any(spreads) else None


def _add_baseline(figure: go.Figure, point: Point, rates: Sequence[str], rows: Rows) -> None:
    """Add the baseline that a panel's points have in common, once it is complete."""
    score = mean_score(point.baseline_ids, rows, point.metric)
    if score is None:
        return
    figure.add_scatter(
        x=[rates[0], rates[-1]],
        y=[score, score],
        name="baseline",
        mode="lines",
        line={"color": "#555", "dash": "dash"},
        hovertemplate="baseline: %{y:.4f}",
    )


def _add_best(figure: go.Figure, points: Sequence[Point], rows: Rows) -> None:
    """Mark the best point with a star."""
    best = pick(points, rows)
    if best is None or not best.clips:
        return
    rate = best.clips[0].clip_rate
    figure.add_scatter(
        x=[f"{rate:g}"],
        y=[mean_score(best.trial_ids, rows, best.metric)],
        name="best: untouched" if best.clips[0].is_idle else f"best: {best.place} at {rate:g}",
        mode="markers",
        marker=STAR,
        hovertemplate="best: %{y:.4f}",
    )
