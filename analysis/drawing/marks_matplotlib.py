"""Each mark of a chart on the axes of matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from clipsweep.analysis.drawing.chart import Band, Bars, Chart, Dots, Estimates, Heat, Level, Line, Panel, finite
from clipsweep.analysis.drawing.extent import Range, edge_corners, heat_limits, last_point, spread_out
from clipsweep.analysis.drawing.style import (
    COLORS,
    DIVERGING,
    FAINT_FROM,
    PLAIN,
    SERIES_MARKS,
    SHADES,
    color_of,
    ink_on,
    mix,
    sample,
    text_color,
)

SMALL_PT = 6.5
PALE = 0.65  # of the way from a colour to white, of broad bars
LABEL_GAP = 0.09  # of the height of a panel, between labels at the ends of lines
FEW_DOTS, MANY_DOTS = 200, 3000  # more than few are drawn smaller, more than many as pixels
CELLS_LABELLED, ROWS_LABELLED = 16, 60  # columns and rows of cells that leave room for a word in each
MARKERS = {"dot": "o", "square": "s", "triangle": "^", "diamond": "D", "triangle-down": "v", "cross": "X"}
SYMBOLS = MARKERS | {"circle-open": "o", "star": "*"}


class Pen:
    """Draws the marks of one chart, panel by panel, and remembers what its legend needs.

    Attributes:
        entries: By the name of a mark what stands beside it in the legend.
    """

    def __init__(self, chart: Chart) -> None:
        """Begin a chart."""
        self._chart = chart
        self._limits = heat_limits(chart)
        self._numbers: dict[str, int] = {}  # of marks that name no colour: one of the same name has the same one
        self.entries: dict[str, Any] = {}

    def draw(self, axes: Axes, panel: Panel, ends: Range | None) -> None:
        """Draw all marks of a panel, then the labels at the ends of its lines."""
        words = {word: number for number, word in enumerate(panel.x.categories)}
        bars = [mark.name for mark in panel.marks if isinstance(mark, Bars)]
        crowded = sum(isinstance(mark, Line) for mark in panel.marks) >= FAINT_FROM
        for mark in panel.marks:
            match mark:
                case Line():
                    self._line(axes, mark, words, faint=crowded and mark.end_label is None and not mark.dashed)
                case Dots():
                    self._dots(axes, mark, words)
                case Bars():
                    self._bars(axes, mark, words, bars)
                case Level():
                    axes.axhline(mark.y, color=self._color(mark), linewidth=1.0, dashes=(4, 2), zorder=2.2)
                    self._remember(mark.name, Line2D([], [], color=self._color(mark), linewidth=1.0, dashes=(4, 2)))
                case Band():
                    axes.axhspan(mark.low, mark.high, color=self._color(mark), alpha=0.6, linewidth=0, zorder=0.5)
                    self._remember(mark.name, Patch(color=self._color(mark), alpha=0.6, linewidth=0))
                case Heat():
                    self._heat(axes, mark)
                case Estimates():
                    self._estimates(axes, mark, {word: number for number, word in enumerate(panel.y.categories)})
        self._remember_bars([mark for mark in panel.marks if isinstance(mark, Estimates)])
        if ends is not None:
            self._label_ends(axes, [mark for mark in panel.marks if isinstance(mark, Line)], words, ends)

    def _line(self, axes: Axes, line: Line, words: dict[str, int], *, faint: bool) -> None:
        color, style = self._color(line), (":" if line.dotted else (0, (4, 2)) if line.dashed else "-")
        symbol = MARKERS[SERIES_MARKS[self._number(line.name) % len(SERIES_MARKS)]] if line.color is None else "o"
        x, y = _places(line.x, words), _heights(line.y)
        look: dict[str, Any] = {"color": color, "linestyle": style}
        look |= {"linewidth": 0.7, "alpha": 0.75} if faint else {"linewidth": 1.2}
        axes.plot(x, y, **look, drawstyle="steps-post" if line.steps else "default", zorder=2.0 if faint else 2.5)
        hollow = np.array(line.hollow if line.hollow is not None else [False] * len(y), dtype=bool)
        marked = line.marked and not faint
        if marked:
            axes.plot(x[~hollow], y[~hollow], symbol, color=color, markersize=3.0, zorder=2.6)
        circle: dict[str, Any] = {"markerfacecolor": COLORS[PLAIN]["paper"], "markersize": 2.2 if faint else 3.4}
        axes.plot(x[hollow], y[hollow], "o", color=color, **circle, zorder=2.7)
        if line.spread is not None and not faint:
            half = _heights(line.spread)
            axes.errorbar(x, y, half, fmt="none", ecolor=color, elinewidth=0.7, capsize=1.5, zorder=2.4)
        if line.in_legend:
            self._remember(line.name, Line2D([], [], **look, marker=symbol if marked else "", markersize=3.0))

    def _dots(self, axes: Axes, dots: Dots, words: dict[str, int]) -> None:
        star, hollow = dots.symbol == "star", dots.symbol == "circle-open"
        one, colors = self._colors(dots)
        paper = COLORS[PLAIN]["paper"]
        look: dict[str, Any] = {"marker": SYMBOLS[dots.symbol], "linewidth": 0.7, "zorder": 4 if star else 3}
        look |= {"facecolors": "none" if hollow else colors, "edgecolors": paper if star else colors}
        size = 90.0 if star else 14.0 if len(dots.x) < FEW_DOTS else 6.0
        axes.scatter(_places(dots.x, words), _heights(dots.y), s=size, rasterized=len(dots.x) > MANY_DOTS, **look)
        if dots.in_legend:
            shown: dict[str, Any] = {"markersize": 8.0 if star else 4.0, "markeredgewidth": 0.7, "linestyle": ""}
            shown |= {"markerfacecolor": "none" if hollow else one, "markeredgecolor": paper if star else one}
            self._remember(dots.name, Line2D([], [], marker=SYMBOLS[dots.symbol], **shown))

    def _colors(self, dots: Dots) -> tuple[str, list[str]]:
        """The colour of some dots in the legend, and of each of them."""
        if dots.color is None or isinstance(dots.color, str | float | int):
            number = self._number(dots.name) if dots.color is None else 0
            one = color_of(dots.color, self._chart, number)
            return one, [one] * len(dots.x)
        colors = [color_of(float(place), self._chart, 0) for place in dots.color]
        return (colors[len(colors) // 2] if colors else COLORS[PLAIN]["ink"]), colors

    def _bars(self, axes: Axes, bars: Bars, words: dict[str, int], beside: Sequence[str]) -> None:
        wide = 0.8 / len(beside)
        shift = (beside.index(bars.name) - (len(beside) - 1) / 2) * wide
        x, y = _places(bars.x, words) + shift, _heights(bars.y)
        number = self._number(bars.name) if bars.color is None else 0
        color = color_of(bars.color, self._chart, number)
        drawn = axes.bar(x, y, wide * 0.92, color=color, edgecolor=COLORS[PLAIN]["ink"], linewidth=0.4, zorder=2)
        if bars.low is not None and bars.high is not None:
            ends = np.abs(np.stack([y - _heights(bars.low), _heights(bars.high) - y]))
            axes.errorbar(x, y, ends, fmt="none", ecolor=COLORS[PLAIN]["ink"], elinewidth=0.7, capsize=2.0, zorder=2.5)
        self._remember(bars.name, drawn[0] if len(drawn) else Patch(color=color))

    def _heat(self, axes: Axes, heat: Heat) -> None:
        z = np.array([_heights(row) for row in heat.z], dtype=float).reshape(len(heat.y), len(heat.x))
        stops = (DIVERGING if heat.centered else SHADES)[PLAIN]
        low, high = self._limits
        edges = np.arange(len(heat.x) + 1) - 0.5, np.arange(len(heat.y) + 1) - 0.5
        look: dict[str, Any] = {"edgecolors": COLORS[PLAIN]["paper"], "linewidth": 0.4}
        scale = LinearSegmentedColormap.from_list("clipsweep", list(stops))
        axes.pcolormesh(*edges, np.ma.masked_invalid(z), cmap=scale, vmin=low, vmax=high, **look)
        muted = np.zeros(z.shape, bool) if heat.muted is None else np.array(heat.muted, dtype=bool).reshape(z.shape)
        grey = LinearSegmentedColormap.from_list("grey", [COLORS[PLAIN]["noise"]] * 2)
        axes.pcolormesh(*edges, np.ma.masked_where(~muted | ~np.isfinite(z), z), cmap=grey, **look)
        axes.set_xlim(edges[0][0], edges[0][-1])
        axes.set_ylim(edges[1][0], edges[1][-1])
        if heat.edge is not None:
            ink: dict[str, Any] = {"color": COLORS[PLAIN]["ink"], "linewidth": 1.2}
            axes.plot(*zip(*edge_corners(heat.edge), strict=True), **ink, zorder=3, clip_on=False)
            self._remember(heat.edge_name, Line2D([], [], **ink))
        if heat.centered and len(heat.y) > ROWS_LABELLED:
            _add_signs(axes, np.where(muted, np.nan, z))
        if heat.labels is None or len(heat.x) > CELLS_LABELLED or len(heat.y) > ROWS_LABELLED:
            return
        for (row, column), value in np.ndenumerate(z):
            if np.isfinite(value):
                share = (value - low) / (high - low)
                under = COLORS[PLAIN]["noise"] if muted[row, column] else sample(stops, share)
                word = heat.labels[row][column]
                axes.text(column, row, word, ha="center", va="center", fontsize=5.5, color=ink_on(under))

    def _estimates(self, axes: Axes, estimates: Estimates, rows: dict[str, int]) -> None:
        number = self._number(estimates.name)
        color = color_of(estimates.color, self._chart, number)
        pale = mix(color, COLORS[PLAIN]["paper"], PALE)
        symbol = MARKERS[SERIES_MARKS[number % len(SERIES_MARKS)]]
        places = [rows[word] for word in estimates.y]
        axes.axvline(0, color=COLORS[PLAIN]["baseline"], linewidth=1.0, dashes=(4, 2), zorder=1.5)
        for row, broad, thin in zip(places, estimates.broad, estimates.thin, strict=True):
            if broad is not None:
                axes.plot(broad, (row, row), color=pale, linewidth=4.5, solid_capstyle="butt", zorder=2)
            if thin is not None:
                axes.plot(thin, (row, row), "|-", color=color, linewidth=0.9, markersize=5, zorder=2.5)
        axes.plot(estimates.x, places, symbol, color=color, markersize=4.5, zorder=3)
        self._remember(estimates.name, Line2D([], [], marker=symbol, color=color, linestyle="", markersize=4.5))

    def _remember_bars(self, marks: Sequence[Estimates]) -> None:
        grey = COLORS[PLAIN]["stopped"]
        pale = mix(grey, COLORS[PLAIN]["paper"], PALE)
        for mark in marks:
            if any(mark.thin):
                self._remember(mark.thin_name, Line2D([], [], color=grey, linewidth=0.9, marker="|", markersize=5))
            if any(mark.broad):
                self._remember(mark.broad_name, Line2D([], [], color=pale, linewidth=4.5))

    def _label_ends(self, axes: Axes, lines: Sequence[Line], words: dict[str, int], ends: Range) -> None:
        """Name lines to the right of the panel, each joined with its last point, none over another."""
        labelled = [
            (line, line.end_label, at) for line in lines if line.end_label and (at := last_point(line)) is not None
        ]
        low, high = ends
        is_log = axes.get_yscale() == "log"
        shares = [
            (np.log(at[1] / low) / np.log(high / low)) if is_log else (at[1] - low) / (high - low)
            for *_, at in labelled
        ]
        for (line, label, (x, y)), share in zip(labelled, spread_out(shares, LABEL_GAP), strict=True):
            axes.annotate(
                label.replace("$", r"\$"),
                xy=(float(_places([x], words)[0]), y),
                xytext=(1.03, share),
                textcoords="axes fraction",
                va="center",
                fontsize=SMALL_PT,
                color=text_color(self._color(line)),
                arrowprops={
                    "arrowstyle": "-",
                    "color": self._color(line),
                    "linewidth": 0.5,
                    "shrinkA": 0,
                    "shrinkB": 2,
                },
                annotation_clip=False,
            )

    def _color(self, mark: Line | Level | Band) -> str:
        return color_of(mark.color, self._chart, self._number(mark.name) if mark.color is None else 0)

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _remember(self, name: str, handle: Any) -> None:
        self.entries.setdefault(name, handle)


def _add_signs(axes: Axes, z: NDArray[np.float64]) -> None:
    """A plus or a minus in each cell, which tell gains from losses in grey print where a word has no room."""
    for marker, rows_and_columns in (("+", np.nonzero(z > 0)), ("_", np.nonzero(z < 0))):
        rows, columns = rows_and_columns
        axes.plot(columns, rows, marker, color="black", markersize=2.5, markeredgewidth=0.4)


def _places(values: Sequence[float | str], words: dict[str, int]) -> NDArray[np.float64]:
    """Where values stand on an axis: words by their number."""
    return np.array([words[value] if isinstance(value, str) else value for value in values], dtype=float)


def _heights(values: Sequence[Any]) -> NDArray[np.float64]:
    """Heights with gaps where there is none."""
    return np.array([np.nan if (height := finite(value)) is None else height for value in values], dtype=float)
