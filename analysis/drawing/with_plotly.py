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
from clipsweep.analysis.drawing.marks_plotly import SYMBOLS, Drawn, Entry, Pen, Plain, escape
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
        figure: ``data`` and ``layout`` as plotly.js takes them, without title, legend and paper, in the light theme.
        entries: Of its legend, in the light theme.
        dark_entries: The same in the dark theme.
        dark: What makes it dark.
        gradient: Its colour bar; None where no mark needs one, or where the figure has its own.
    """

    title: str
    figure: Plain
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
    grid = make_subplots(
        rows, columns, subplot_titles=titles, horizontal_spacing=0.24 / columns, vertical_spacing=0.3 / rows
    )
    layout = grid.layout.to_plotly_json()
    pen, drawn = Pen(chart, theme), Drawn()
    for number, (panel, ends) in enumerate(zip(chart.panels, y_ranges(chart), strict=True)):
        suffix = _suffix(number)
        pen.draw(drawn, panel, ends, (f"x{suffix}", f"y{suffix}"))
        for name, axis in _axes(panel, ends, theme).items():
            layout[name + suffix] |= axis
    for number in range(len(chart.panels), rows * columns):
        for name in ("xaxis", "yaxis"):
            layout[name + _suffix(number)] |= {"visible": False}
    entries = list(pen.entries.values())
    height = rows * max((_height(panel) for panel in chart.panels), default=PANEL_PX)
    legend = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}
    layout |= {
        **_look(theme, height + 60),
        "template": "none",
        "title": {"text": escape(chart.title)},
        "margin": {"l": 60, "r": 90, "t": 70, "b": 60},
        "shapes": drawn.shapes,
        "annotations": [*layout.get("annotations", ()), *drawn.annotations],
        "showlegend": bool(entries),
        "legend": legend,
    }
    marks = [{**trace, "showlegend": False} for trace in drawn.traces]
    return go.Figure({"data": [*marks, *map(_in_legend, entries), *_color_bar(chart, theme)], "layout": layout})


def _suffix(number: int) -> str:
    """What the names of a panel's axes end with."""
    return "" if number == 0 else str(number + 1)


def plotly_panels(chart: Chart) -> list[PanelFigure]:
    """Draw each panel of a chart as a figure of its own, for a page that is light or dark."""
    ranges = y_ranges(chart)
    pens = {theme: Pen(chart, theme) for theme in (PLAIN, DARK)}
    return [_panel_figure(chart, panel, ends, pens) for panel, ends in zip(chart.panels, ranges, strict=True)]


def _panel_figure(chart: Chart, panel: Panel, ends: Range | None, pens: Mapping[str, Pen]) -> PanelFigure:
    figures, entries = {}, {}
    for theme, pen in pens.items():
        pen.entries, drawn = {}, Drawn()
        pen.draw(drawn, panel, ends, ("x", "y"))
        layout = {
            **_look(theme, _height(panel)),
            **_axes(panel, ends, theme),
            "margin": _margin(panel),
            "shapes": drawn.shapes,
            "annotations": drawn.annotations,
        }
        figures[theme] = {"data": drawn.traces, "layout": layout}
        entries[theme] = list(pen.entries.values())
    return PanelFigure(
        title=panel.title,
        figure=figures[PLAIN],
        entries=entries[PLAIN],
        dark_entries=entries[DARK],
        dark=_recolor(figures[DARK]),
        gradient=_gradient(chart) if any(map(_has_place, panel.marks)) else None,
    )


def _margin(panel: Panel) -> Plain:
    """Room around a panel of a page: to the right for the labels of its lines."""
    words = [len(mark.end_label) for mark in panel.marks if isinstance(mark, Line) and mark.end_label]
    right = 12 + (6 + LETTER_PX * max(words) if words else 0)
    return {"l": 12 if panel.y.inside else 60, "r": right, "t": 12, "b": 48}


def _axes(panel: Panel, ends: Range | None, theme: str) -> dict[str, Plain]:
    """Both axes of a panel; cells have no lines between them."""
    colors = COLORS[theme]
    look = {"gridcolor": colors["grid"], "linecolor": colors["grid"], "tickcolor": colors["grid"]}
    return {
        "xaxis": {**_axis(panel.x, None), "showgrid": False, "showline": True, "ticks": "outside", **look},
        "yaxis": {**_axis(panel.y, ends), "showgrid": panel.y.kind != "category", **look},
    }


def _axis(axis: Axis, ends: Range | None) -> Plain:
    """How plotly words an axis."""
    title = {"text": escape(axis.title), "standoff": TITLE_GAP_PX}
    found: Plain = {"title": title, "zeroline": False, "automargin": True}
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


def _look(theme: str, height: int) -> Plain:
    """The look of all figures: no paper of its own, so that the page's is seen."""
    colors = COLORS[theme]
    return {
        "height": height,
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"color": colors["ink"], "size": 12},
        "showlegend": False,
        "hovermode": "closest",
        "barmode": "group",
        "hoverlabel": {"bgcolor": colors["paper"], "bordercolor": colors["grid"], "font": {"color": colors["ink"]}},
    }


def _recolor(figure: Plain) -> Recolor:
    """What of a figure depends on its theme."""
    traces = {path: [_value(trace, path) for trace in figure["data"]] for path in SERIES_STYLE}
    layout = figure["layout"]
    changed = {"font.color": layout["font"]["color"]}
    changed |= {part: layout[part] for part in ("shapes", "annotations", "hoverlabel")}
    for axis in ("xaxis", "yaxis"):
        changed |= {f"{axis}.{part}": layout[axis][part] for part in ("gridcolor", "linecolor", "tickcolor")}
    return Recolor(
        traces={path: values for path, values in traces.items() if any(value is not None for value in values)},
        layout=changed,
    )


def _value(trace: Plain, path: str) -> Any:
    """What a trace has at a path; None where it has nothing there."""
    value: Any = trace
    for part in path.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _has_place(mark: Mark) -> bool:
    """Whether a mark's colour is a place on the chart's colour bar."""
    return isinstance(mark, Line | Dots) and mark.color is not None and not isinstance(mark.color, str)


def _gradient(chart: Chart) -> Gradient | None:
    bar = chart.color_bar
    if bar is None or bar.high == bar.low:
        return None
    return Gradient(title=bar.title, low=f"{bar.low:g}", high=f"{bar.high:g}", light=SCALE[PLAIN], dark=SCALE[DARK])


def _in_legend(entry: Entry) -> Plain:
    """A trace that shows nothing but its entry in the legend."""
    is_line = entry.mark in {"line", "dash", "dots"}
    symbol = (SYMBOLS | {"band": "square", "bar": "square"}).get(entry.mark)
    return {
        "type": "scatter",
        "x": [None],
        "y": [None],
        "name": escape(entry.name),
        "mode": "lines" if is_line else "markers",
        "line": {"color": entry.color, "dash": {"dash": "dash", "dots": "dot"}.get(entry.mark, "solid")},
        "marker": {"color": entry.color, "symbol": symbol or "circle", "size": 10},
        "showlegend": True,
    }


def _color_bar(chart: Chart, theme: str) -> list[Plain]:
    """A trace that shows nothing but the colour bar of its chart, if there is one."""
    bar = chart.color_bar
    if bar is None or bar.high == bar.low:
        return []
    stops = SCALE[theme]
    marker = {
        "color": [bar.low],
        "cmin": bar.low,
        "cmax": bar.high,
        "colorscale": [[number / (len(stops) - 1), stop] for number, stop in enumerate(stops)],
        "showscale": True,
        "colorbar": {"title": {"text": escape(bar.title), "side": "right"}, "thickness": 12, "x": 1.06},
    }
    return [{"type": "scatter", "x": [None], "y": [None], "mode": "markers", "showlegend": False, "marker": marker}]
