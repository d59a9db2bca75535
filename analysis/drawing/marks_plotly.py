"""Each mark of a chart as traces and shapes of plotly.

They are plain values, as plotly.js takes them. plotly's own classes check each value again whenever one changes, which
took nine tenths of the time that a page took.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.drawing.chart import Band, Bars, Chart, Dots, Estimates, Heat, Level, Line, Panel, finite
from clipsweep.analysis.drawing.extent import Range, edge_corners, heat_limits, last_point, spread_out
from clipsweep.analysis.drawing.style import (
    COLORS,
    DIVERGING,
    FAINT_FROM,
    SERIES_MARKS,
    SHADES,
    color_of,
    mix,
    place_color,
    text_color,
)

SYMBOLS = {"dot": "circle", "circle-open": "circle-open", "star": "star", "square": "square", "triangle": "triangle-up"}
SYMBOLS |= {"diamond": "diamond", "triangle-down": "triangle-down", "cross": "x"}
LABEL_GAP = 0.062  # of the height of a panel, between labels at the ends of lines
CELLS_LABELLED, ROWS_LABELLED = 16, 60  # columns and rows of cells that leave room for a word in each
ABOVE_PX = 4  # of words inside a panel over the marks of their row
PALE = 0.65  # of the way from a colour to the page's, of broad bars
MANY = 3000  # so many points are drawn by the graphics card, where there is one


Plain = dict[str, Any]  # a trace, a shape, an annotation or an axis, as plotly.js takes it


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the marks of panels have become."""

    traces: list[Plain] = field(default_factory=list)
    shapes: list[Plain] = field(default_factory=list)
    annotations: list[Plain] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a legend says of a mark.

    Attributes:
        name: Of the mark.
        color: As ``#rrggbb``.
        mark: ``line``, ``dash``, ``dots``, ``dot``, ``circle-open``, ``star``, ``band`` or ``bar``.
    """

    name: str
    color: str
    mark: str


class Pen:
    """Draws the marks of one chart in one theme, and remembers what its legend needs.

    Attributes:
        entries: Of the legend, by name, as far as panels were drawn.
    """

    def __init__(self, chart: Chart, theme: str) -> None:
        """Begin a chart in a theme."""
        self._chart = chart
        self._theme = theme
        self._limits = heat_limits(chart)
        self._numbers: dict[str, int] = {}  # of marks that name no colour: one of the same name has the same one
        self.entries: dict[str, Entry] = {}

    def draw(self, drawn: Drawn, panel: Panel, ends: Range | None, refs: tuple[str, str]) -> None:
        """Draw all marks of a panel.

        Args:
            drawn: Gets them.
            panel: What to draw.
            ends: Of its y axis.
            refs: Names of its axes, such as ``x2`` and ``y2``.
        """
        traces: list[Plain] = []
        crowded = sum(isinstance(mark, Line) for mark in panel.marks) >= FAINT_FROM
        for mark in panel.marks:
            match mark:
                case Line():
                    faint = crowded and mark.end_label is None and not mark.dashed
                    traces.append(self._line(mark, faint))
                case Dots():
                    traces.append(self._dots(mark))
                case Bars():
                    traces.append(self._bars(mark))
                case Level():
                    color = self._color(mark)
                    line = {"color": color, "width": 1.5, "dash": "dash"}
                    self._add_shape(drawn, refs, mark.y, mark.y, type="line", line=line)
                    self._remember(mark.name, color, "dash")
                case Band():
                    color = self._color(mark)
                    look = {"fillcolor": color, "opacity": 0.55, "line": {"width": 0}}
                    self._add_shape(drawn, refs, mark.low, mark.high, type="rect", layer="below", **look)
                    self._remember(mark.name, color, "band")
                case Heat():
                    traces += self._heat(mark)
                    self._edge(drawn, mark, refs)
                case Estimates():
                    traces += self._estimates(mark)
                    self._add_zero(drawn, refs)
        drawn.traces.extend({**trace, "xaxis": refs[0], "yaxis": refs[1]} for trace in traces)
        self._name_rows(drawn, panel.y.categories if panel.y.inside else (), refs)
        self._remember_bars([mark for mark in panel.marks if isinstance(mark, Estimates)])
        if ends is not None:
            self._label_ends(drawn, [mark for mark in panel.marks if isinstance(mark, Line)], panel, ends, refs)

    def _line(self, line: Line, faint: bool) -> Plain:
        color = self._color(line)
        symbol = SYMBOLS[SERIES_MARKS[self._number(line.name) % len(SERIES_MARKS)]] if line.color is None else "circle"
        symbols: Any = symbol
        if line.hollow is not None and any(line.hollow):
            symbols = ["circle-open" if hollow else symbol for hollow in line.hollow]
        if line.in_legend:
            self._remember(line.name, color, "dash" if line.dashed else "dots" if line.dotted else "line")
        return _trace(
            "scatter",
            x=[escape(value) for value in line.x],
            y=[finite(value) for value in line.y],
            name=escape(line.name),
            mode="lines+markers" if line.marked and not faint else "lines",
            line={
                "color": color,
                "width": 1.2 if faint else 2,
                "dash": "dash" if line.dashed else "dot" if line.dotted else "solid",
                "shape": "hv" if line.steps else "linear",
            },
            opacity=0.75 if faint else 1,
            marker={"color": color, "size": 6, "symbol": symbols},
            error_y=None
            if line.spread is None or faint
            else {"type": "data", "array": [finite(value) for value in line.spread], "thickness": 1, "width": 3},
            **_hover(line.texts),
        )

    def _dots(self, dots: Dots) -> Plain:
        if dots.color is None or isinstance(dots.color, str | float | int):
            color: Any = color_of(
                dots.color, self._chart, self._number(dots.name) if dots.color is None else 0, self._theme
            )
            shown = color
        else:
            assert self._chart.color_bar is not None, "dots with places on a colour bar need one"
            bar = self._chart.color_bar
            color = [place_color(float(place), bar, self._theme) for place in dots.color]
            shown = color[len(color) // 2] if color else COLORS[self._theme]["ink"]
        star = dots.symbol == "star"
        if dots.in_legend:
            self._remember(dots.name, shown, dots.symbol)
        edge = {"color": COLORS[self._theme]["paper"], "width": 1} if star else {"width": 1.2, "color": color}
        return _trace(
            "scattergl" if len(dots.x) > MANY else "scatter",
            x=[escape(value) for value in dots.x],
            y=[finite(value) for value in dots.y],
            name=escape(dots.name),
            mode="markers",
            marker={"color": color, "size": 15 if star else 6, "symbol": SYMBOLS[dots.symbol], "line": edge},
            **_hover(dots.texts),
        )

    def _bars(self, bars: Bars) -> Plain:
        number = self._number(bars.name) if bars.color is None else 0
        color = color_of(bars.color, self._chart, number, self._theme)
        interval = None
        if bars.low is not None and bars.high is not None:
            y = _numbers(bars.y)
            interval = {
                "type": "data",
                "array": _gaps(_numbers(bars.high) - y),
                "arrayminus": _gaps(y - _numbers(bars.low)),
                "symmetric": False,
                "thickness": 1,
                "color": COLORS[self._theme]["ink"],
            }
        self._remember(bars.name, color, "bar")
        return _trace(
            "bar",
            x=[escape(value) for value in bars.x],
            y=[finite(value) for value in bars.y],
            name=escape(bars.name),
            marker={"color": color},
            error_y=interval,
            textposition="none",  # or they would stand in the bars
            **_hover(bars.texts),
        )

    def _heat(self, heat: Heat) -> list[Plain]:
        """The cells, and over them those that are muted, in grey."""
        z = np.array([_numbers(row) for row in heat.z]).reshape(len(heat.y), len(heat.x))
        muted = np.zeros(z.shape, bool) if heat.muted is None else np.array(heat.muted, dtype=bool).reshape(z.shape)
        stops = (DIVERGING if heat.centered else SHADES)[self._theme]
        grey = COLORS[self._theme]["noise"]
        low, high = self._limits
        same = {
            "x": [escape(value) for value in heat.x],
            "y": [escape(value) for value in heat.y],
            "zmin": low,
            "zmax": high,
            "xgap": 1,
            "ygap": 1,
            "name": escape(heat.name),
            "customdata": heat.texts and [list(map(escape, row)) for row in heat.texts],
            "hovertemplate": "%{customdata}<extra></extra>" if heat.texts else "%{y}, %{x}: %{z:.3f}<extra></extra>",
        }
        bar = {"title": {"text": escape(heat.name), "side": "right"}, "thickness": 12, "outlinewidth": 0}
        bar |= {"tickformat": ".1~%"} if heat.percent else {}
        scale = [[number / (len(stops) - 1), stop] for number, stop in enumerate(stops)]
        own = {"z": _grid(np.where(muted, np.nan, z)), **_cell_words(heat, ~muted)}
        cells = _trace("heatmap", colorscale=scale, colorbar=bar, **own, **same)
        own = {"z": _grid(np.where(muted, z, np.nan)), **_cell_words(heat, muted)}
        greyed = _trace("heatmap", colorscale=[[0, grey], [1, grey]], showscale=False, **own, **same)
        return [cells, greyed] if muted.any() else [cells]

    def _edge(self, drawn: Drawn, heat: Heat, refs: tuple[str, str]) -> None:
        """The line through cells, if there is one."""
        if heat.edge is None:
            return
        color = COLORS[self._theme]["ink"]
        path = "M" + "L".join(f"{column},{row}" for column, row in edge_corners(heat.edge))
        line = {"color": color, "width": 2}
        drawn.shapes.append({"type": "path", "path": path, "xref": refs[0], "yref": refs[1], "line": line})
        self._remember(heat.edge_name, color, "line")

    def _estimates(self, estimates: Estimates) -> list[Plain]:
        """The broad bars, and over them the thin ones with their dots."""
        number = self._number(estimates.name)
        color = color_of(estimates.color, self._chart, number, self._theme)
        pale = mix(color, COLORS[self._theme]["paper"], PALE)
        symbol = SERIES_MARKS[number % len(SERIES_MARKS)]
        same = {"x": list(estimates.x), "y": [escape(word) for word in estimates.y], "mode": "markers"}
        same |= {"name": escape(estimates.name), **_hover(estimates.texts)}
        behind = {"size": 1, "color": pale}
        broad = {**_ends(estimates.x, estimates.broad), "thickness": 9, "width": 0, "color": pale}
        thin = {**_ends(estimates.x, estimates.thin), "thickness": 1.5, "width": 4, "color": color}
        mark = {"size": 9, "color": color, "symbol": SYMBOLS[symbol]}
        self._remember(estimates.name, color, symbol)
        return [
            _trace("scatter", marker=behind, error_x=broad, **same),
            _trace("scatter", marker=mark, error_x=thin, **same),
        ]

    def _name_rows(self, drawn: Drawn, words: Sequence[str], refs: tuple[str, str]) -> None:
        """Words of the y axis over the marks of their rows: plotly's own would hide numbers of the other axis."""
        font = {"size": 11, "color": COLORS[self._theme]["ink"]}
        for word in map(escape, words):
            at = {"x": 0, "xref": f"{refs[0]} domain", "xanchor": "left", "y": word, "yref": refs[1]}
            look = {"yanchor": "bottom", "yshift": ABOVE_PX, "showarrow": False, "font": font}
            drawn.annotations.append({"text": word, **at, **look})

    def _remember_bars(self, marks: Sequence[Estimates]) -> None:
        grey = COLORS[self._theme]["stopped"]
        for mark in marks:
            if any(mark.thin):
                self._remember(mark.thin_name, grey, "line")
            if any(mark.broad):
                self._remember(mark.broad_name, mix(grey, COLORS[self._theme]["paper"], PALE), "bar")

    def _add_zero(self, drawn: Drawn, refs: tuple[str, str]) -> None:
        """A line up the panel at zero."""
        line = {"color": COLORS[self._theme]["baseline"], "width": 1.5, "dash": "dash"}
        ends = {"x0": 0, "x1": 0, "y0": 0, "y1": 1}
        at = {"xref": refs[0], "yref": f"{refs[1]} domain"}
        drawn.shapes.append({"type": "line", **at, "layer": "below", "line": line, **ends})

    def _label_ends(
        self, drawn: Drawn, lines: Sequence[Line], panel: Panel, ends: Range, refs: tuple[str, str]
    ) -> None:
        """Name lines to the right of the panel, none over another."""
        labelled = [
            (line, line.end_label, at) for line in lines if line.end_label and (at := last_point(line)) is not None
        ]
        low, high = np.log10(ends) if panel.y.kind == "log" else ends
        heights = [np.log10(at[1]) if panel.y.kind == "log" else at[1] for *_, at in labelled]
        for (line, label, _), height in zip(labelled, spread_out(heights, LABEL_GAP * (high - low)), strict=True):
            place = {"x": 1.01, "xref": f"{refs[0]} domain", "xanchor": "left"}
            place |= {"y": height, "yref": refs[1], "yanchor": "middle"}
            font = {"size": 11, "color": text_color(self._color(line), self._theme)}
            drawn.annotations.append({"text": escape(label), **place, "showarrow": False, "font": font})

    @staticmethod
    def _add_shape(drawn: Drawn, refs: tuple[str, str], low: float, high: float, **look: Any) -> None:
        at = {"xref": f"{refs[0]} domain", "x0": 0, "x1": 1, "yref": refs[1], "y0": low, "y1": high}
        drawn.shapes.append({**at, **look})

    def _color(self, mark: Line | Level | Band) -> str:
        number = self._number(mark.name) if mark.color is None else 0
        return color_of(mark.color, self._chart, number, self._theme)

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _remember(self, name: str, color: str, mark: str) -> None:
        self.entries.setdefault(name, Entry(name=name, color=color, mark=mark))


def escape(value: Any) -> Any:
    """Text in which nothing is markup; numbers as they are."""
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") if isinstance(value, str) else value


def _trace(kind: str, **values: Any) -> Plain:
    """A trace of plotly; what is None is left out."""
    return {"type": kind, **{name: value for name, value in values.items() if value is not None}}


def _cell_words(heat: Heat, shown: NDArray[np.bool_]) -> dict[str, Any]:
    """A word in each cell that is shown; none where cells are too small."""
    if heat.labels is None or len(heat.x) > CELLS_LABELLED or len(heat.y) > ROWS_LABELLED:
        return {}
    words = [
        [escape(word) if is_shown else "" for word, is_shown in zip(*row, strict=True)]
        for row in zip(heat.labels, shown.tolist(), strict=True)
    ]
    return {"text": words, "texttemplate": "%{text}", "textfont": {"size": 10}}


def _hover(texts: Sequence[str] | None) -> dict[str, Any]:
    """What a pointer shows: the texts alone where there are some."""
    if texts is None:
        return {"hovertemplate": "%{x}: %{y}"}
    return {"text": list(map(escape, texts)), "hovertemplate": "%{text}<extra></extra>"}


def _numbers(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([np.nan if (number := finite(value)) is None else number for value in values], dtype=float)


def _gaps(values: NDArray[np.float64]) -> list[float | None]:
    return [finite(value) for value in values.tolist()]


def _ends(middles: Sequence[float], spans: Sequence[tuple[float, float] | None]) -> dict[str, Any]:
    """How plotly takes the ends of bars: by how far they are above and below the middle."""
    pairs = [span or (middle, middle) for middle, span in zip(middles, spans, strict=True)]
    return {
        "type": "data",
        "symmetric": False,
        "array": [high - middle for middle, (_, high) in zip(middles, pairs, strict=True)],
        "arrayminus": [middle - low for middle, (low, _) in zip(middles, pairs, strict=True)],
    }


def _grid(values: NDArray[np.float64]) -> list[list[float | None]]:
    return [_gaps(row) for row in values]
