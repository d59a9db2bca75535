"""Charts drawn with plotly: all panels of one in a notebook, or a figure for each panel of a page, light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from clipsweep.analysis.drawing.chart import Axis, Chart, Dots, Estimates, Heat, Line, Mark, Panel
from clipsweep.analysis.drawing.extent import Range, y_ranges
from clipsweep.analysis.drawing.marks_plotly import Entry, Pen, escape
from clipsweep.analysis.drawing.style import COLORS, DARK, PLAIN, SCALE

PANEL_PX, ROW_PX, NUMBER_PX = 320, 15, 36  # heights of a panel, of a row of cells, and of a number with intervals
LETTER_PX = 6.5
TITLE_GAP_PX = 8  # between the labels of an axis and its title
CLEAR = "rgba(0,0,0,0)"
SERIES_STYLE = (
    "line.color",
    "marker.color",
    "marker.line.color",
    "error_y.color",
    "error_x.color",
    "colorscale",
)  # what a theme changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Recolor:
    """What turns a figure from one theme into another: ``Plotly.update(figure, traces, layout)``.

    Attributes:
        traces: By the path of an attribute its value for each trace.
        layout: By the path of an attribute its value.
    """

    traces: Mapping[str, Sequence[Any]]
    layout: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradient:
    """A colour bar that a page draws itself, once for all panels.

    Attributes:
        title: What it shows.
        low: Word at its left end.
        high: Word at its right end.
        light: Colours from left to right on a light page.
        dark: On a dark one.
    """

    title: str
    low: str
    high: str
    light: Sequence[str]
    dark: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelFigure:
    """A panel of a chart as a page shows it.

    Attributes:
        title: Of the panel; as it is, not escaped.
        figure: Without title, legend and paper, in the light theme.
        entries: Of its legend, in the light theme.
        dark_entries: The same in the dark theme.
        dark: What makes it dark.
        gradient: Its colour bar; None where no mark needs one, or where the figure has its own.
    """

    title: str
    figure: go.Figure
    entries: Sequence[Entry]
    dark_entries: Sequence[Entry]
    dark: Recolor
    gradient: Gradient | None


def draw_plotly(chart: Chart, theme: str = PLAIN) -> go.Figure:
    """Draw a chart with all of its panels, its title and its legend, for a notebook.

    Args:
        chart: What to draw.
        theme: ``light`` or ``dark``.
    """
    columns = max(1, min(chart.columns, len(chart.panels)))
    rows = max(1, math.ceil(len(chart.panels) / columns))
    titles = [escape(panel.title) for panel in chart.panels]
    figure = make_subplots(
        rows, columns, subplot_titles=titles, horizontal_spacing=0.24 / columns, vertical_spacing=0.3 / rows
    )
    pen = Pen(chart, theme)
    for number, (panel, ends) in enumerate(zip(chart.panels, y_ranges(chart), strict=True)):
        at = {"row": number // columns + 1, "col": number % columns + 1}
        _draw_panel(figure, panel, ends, pen, at, number)
    height = rows * max((_height(panel) for panel in chart.panels), default=PANEL_PX)
    _lay_out(figure, theme, height + 60)
    figure.update_layout(title={"text": escape(chart.title)}, margin={"l": 60, "r": 90, "t": 70, "b": 60})
    _add_legend(figure, list(pen.entries.values()))
    _add_color_bar(figure, chart, theme)
    return figure


def plotly_panels(chart: Chart) -> list[PanelFigure]:
    """Draw each panel of a chart as a figure of its own, for a page that is light or dark."""
    ranges = y_ranges(chart)
    pens = {theme: Pen(chart, theme) for theme in (PLAIN, DARK)}
    return [_panel_figure(chart, panel, ends, pens) for panel, ends in zip(chart.panels, ranges, strict=True)]


def _panel_figure(chart: Chart, panel: Panel, ends: Range | None, pens: Mapping[str, Pen]) -> PanelFigure:
    figures, entries = {}, {}
    for theme, pen in pens.items():
        figure = figures[theme] = make_subplots(1, 1)
        pen.entries = {}
        _draw_panel(figure, panel, ends, pen, {"row": 1, "col": 1}, 0)
        _lay_out(figure, theme, _height(panel))
        words = [len(mark.end_label) for mark in panel.marks if isinstance(mark, Line) and mark.end_label]
        right = 12 + (6 + LETTER_PX * max(words) if words else 0)
        figure.update_layout(margin={"l": 12 if panel.y.inside else 60, "r": right, "t": 12, "b": 48})
        entries[theme] = list(pen.entries.values())
    return PanelFigure(
        title=panel.title,
        figure=figures[PLAIN],
        entries=entries[PLAIN],
        dark_entries=entries[DARK],
        dark=_recolor(figures[DARK]),
        gradient=_gradient(chart) if any(map(_has_place, panel.marks)) else None,
    )


def _draw_panel(figure: go.Figure, panel: Panel, ends: Range | None, pen: Pen, at: dict[str, int], number: int) -> None:
    suffix = "" if number == 0 else str(number + 1)
    pen.draw(figure, panel, ends, at, (f"x{suffix}", f"y{suffix}"))
    figure.update_xaxes(**_axis(panel.x, None), **at)
    figure.update_yaxes(**_axis(panel.y, ends), **at)


def _axis(axis: Axis, ends: Range | None) -> dict[str, Any]:
    """How plotly words an axis."""
    title = {"text": escape(axis.title), "standoff": TITLE_GAP_PX}
    found: dict[str, Any] = {"title": title, "zeroline": False, "automargin": True}
    if axis.kind == "category":
        words = [escape(word) for word in axis.categories]
        found |= {"type": "category", "categoryorder": "array", "categoryarray": words}
        if axis.inside:
            found |= {"showticklabels": False, "ticks": "", "range": [-0.5, len(words) - 0.3]}
        return found
    if axis.kind == "log":
        found |= {"type": "log", "exponentformat": "power"}
    if axis.percent:
        found["tickformat"] = ".1~%"
    low, high = ends or (axis.low, axis.high)
    if low is not None and high is not None:
        found["range"] = [math.log10(low), math.log10(high)] if axis.kind == "log" else [low, high]
    return found


def _height(panel: Panel) -> int:
    rows = max((len(mark.y) for mark in panel.marks if isinstance(mark, Heat)), default=0)
    numbers = sum(len(mark.y) for mark in panel.marks if isinstance(mark, Estimates))
    return max(PANEL_PX, 90 + ROW_PX * rows, 60 + NUMBER_PX * numbers)


def _lay_out(figure: go.Figure, theme: str, height: int) -> None:
    """Give a figure the look of all figures: no paper of its own, so that the page's is seen."""
    colors = COLORS[theme]
    figure.update_layout(
        template="none",
        height=height,
        paper_bgcolor=CLEAR,
        plot_bgcolor=CLEAR,
        font={"color": colors["ink"], "size": 12},
        showlegend=False,
        hovermode="closest",
        barmode="group",
        hoverlabel={"bgcolor": colors["paper"], "bordercolor": colors["grid"], "font": {"color": colors["ink"]}},
    )
    axes = {"gridcolor": colors["grid"], "linecolor": colors["grid"], "tickcolor": colors["grid"]}
    figure.update_xaxes(showgrid=False, showline=True, ticks="outside", **axes)
    figure.update_yaxes(showgrid=True, **axes)
    figure.update_yaxes(showgrid=False, selector={"type": "category"})  # of cells


def _recolor(figure: go.Figure) -> Recolor:
    """What of a figure depends on its theme."""
    traces = {path: [_value(trace, path) for trace in figure.data] for path in SERIES_STYLE}
    layout: dict[str, Any] = {
        "font.color": figure.layout.font.color,
        "shapes": [shape.to_plotly_json() for shape in figure.layout.shapes],
        "annotations": [note.to_plotly_json() for note in figure.layout.annotations],
        "hoverlabel": figure.layout.hoverlabel.to_plotly_json(),
    }
    for axis in ("xaxis", "yaxis"):
        for part in ("gridcolor", "linecolor", "tickcolor"):
            layout[f"{axis}.{part}"] = figure.layout[axis][part]
    return Recolor(
        traces={path: values for path, values in traces.items() if any(value is not None for value in values)},
        layout=layout,
    )


def _value(trace: Any, path: str) -> Any:
    """What a trace has at a path, as ``Plotly.restyle`` takes it: a list of values in a list of its own."""
    value: Any = trace
    for part in path.split("."):
        if value is None or part not in value:
            return None
        value = value[part]
    return list(value) if isinstance(value, tuple) else value


def _has_place(mark: Mark) -> bool:
    """Whether a mark's colour is a place on the chart's colour bar."""
    return isinstance(mark, Line | Dots) and mark.color is not None and not isinstance(mark.color, str)


def _gradient(chart: Chart) -> Gradient | None:
    bar = chart.color_bar
    if bar is None or bar.high == bar.low:
        return None
    return Gradient(title=bar.title, low=f"{bar.low:g}", high=f"{bar.high:g}", light=SCALE[PLAIN], dark=SCALE[DARK])


def _add_legend(figure: go.Figure, entries: Sequence[Entry]) -> None:
    """Give a figure a legend below it, an entry for each mark, whatever panels it is in."""
    for entry in entries:
        is_line = entry.mark in {"line", "dash", "dots"}
        symbol = {"band": "square", "bar": "square", "dot": "circle"}.get(entry.mark, entry.mark)
        figure.add_scatter(
            x=[None],
            y=[None],
            name=escape(entry.name),
            mode="lines" if is_line else "markers",
            line={"color": entry.color, "dash": {"dash": "dash", "dots": "dot"}.get(entry.mark, "solid")},
            marker={"color": entry.color, "symbol": "circle" if is_line else symbol, "size": 10},
            showlegend=True,
        )
    figure.update_traces(showlegend=False, selector=lambda trace: trace.showlegend is None)
    legend = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
    figure.update_layout(showlegend=bool(entries), legend=legend)


def _add_color_bar(figure: go.Figure, chart: Chart, theme: str) -> None:
    """Give a figure the colour bar of its chart, if it has one."""
    bar = chart.color_bar
    if bar is None or bar.high == bar.low:
        return
    stops = SCALE[theme]
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        showlegend=False,
        marker={
            "color": [bar.low],
            "cmin": bar.low,
            "cmax": bar.high,
            "colorscale": [[number / (len(stops) - 1), stop] for number, stop in enumerate(stops)],
            "showscale": True,
            "colorbar": {"title": {"text": escape(bar.title), "side": "right"}, "thickness": 12, "x": 1.06},
        },
    )
