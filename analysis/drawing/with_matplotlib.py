"""Charts drawn with matplotlib, for papers: text stays text in every file, and no state of ``pyplot`` is touched."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator
from matplotlib.transforms import ScaledTranslation

from clipsweep.analysis.drawing.chart import Axis, Chart, Estimates, Heat, Line, Panel
from clipsweep.analysis.drawing.extent import Range, heat_limits, y_ranges
from clipsweep.analysis.drawing.marks_matplotlib import Pen
from clipsweep.analysis.drawing.style import COLORS, DIVERGING, PLAIN, SCALE, SHADES

COLUMN_IN, PAGE_IN = 3.4, 6.9  # widths of a column and of a page of most venues
PANEL_IN, ROW_IN, NUMBER_IN, TALLEST_IN = 2.1, 0.125, 0.28, 8.0  # heights of a panel, of its rows, and the most
ROWS_NAMED = 40  # of an axis of words; of more some are named
TEXT_PT, SMALL_PT = 8.0, 6.5
ABOVE_PT = 2.5  # of words inside a panel over the marks of their row
NARROWEST_IN = 1.4  # of a panel without the words beside it
LETTERS_PER_IN, TICKS_PER_IN, WORD_GAP_IN, BAR_IN = 17, 19, 0.05, 0.6  # of small text; of words below a panel
FEWEST_LETTERS = 16  # of a line of a title
NOTEBOOK_DPI = 160
COLORS_DRAWN = PLAIN
SAVED = {
    "pdf.fonttype": 42,
    "svg.fonttype": "none",
    "svg.hashsalt": "clipsweep",
}  # embedded fonts; the same ids each time


class PaperFigure(Figure):
    """A figure whose files hold text as text, with its title and caption as their metadata."""

    chart: Chart

    def savefig(self, fname: Any, **kwargs: Any) -> None:
        """Write it, as matplotlib does, but with fonts embedded and without the time of writing."""
        kind = kwargs.get("format") or Path(str(fname)).suffix.lstrip(".").lower()
        said = _metadata(self.chart, kind)
        with matplotlib.rc_context(SAVED):
            super().savefig(fname, **{"dpi": 300, **kwargs, "metadata": said | (kwargs.get("metadata") or {})})

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows below the cell that gives the figure."""
        drawn = BytesIO()
        self.savefig(drawn, format="png", dpi=NOTEBOOK_DPI)
        return drawn.getvalue()


def draw_matplotlib(chart: Chart, width_in: float | None = None) -> PaperFigure:
    """Draw a chart on paper.

    Args:
        chart: What to draw.
        width_in: Of the figure, in inches; None for a column with panels below each other, else a page.

    Returns:
        The figure, not shown anywhere; ``savefig`` writes it.
    """
    across, down = _label_room(chart)
    width = width_in or (COLUMN_IN if min(chart.columns, len(chart.panels)) == 1 and not _is_wide(chart) else PAGE_IN)
    columns = max(1, min(chart.columns, len(chart.panels), int(width / (across + NARROWEST_IN))))
    rows = max(1, math.ceil(len(chart.panels) / columns))
    with matplotlib.rc_context({"font.size": TEXT_PT, "axes.linewidth": 0.6, "hatch.linewidth": 0.4}):
        figure = PaperFigure(figsize=(width, 1.0), layout="constrained")
        figure.chart = chart
        axes = [one for row in figure.subplots(rows, columns, squeeze=False) for one in row]
        pen, inner = Pen(chart), _inner_width(chart, width, columns)
        for one, panel, ends in zip(axes, chart.panels, y_ranges(chart), strict=False):
            _draw_panel(one, panel, ends, pen, inner)
        for one in axes[len(chart.panels) :]:
            one.remove()
        _add_color_bar(figure, axes[: len(chart.panels)], chart)
        lines = _add_legend(figure, pen, width)
        figure.set_size_inches(width, rows * (_panel_height(chart) + down) + 0.16 * lines)
    return figure


def _draw_panel(axes: Axes, panel: Panel, ends: Range | None, pen: Pen, inner: float) -> None:
    title = textwrap.fill(plain(panel.title), max(FEWEST_LETTERS, int(inner * LETTERS_PER_IN * SMALL_PT / TEXT_PT)))
    axes.set_title(title, fontsize=TEXT_PT, loc="left")
    axes.set_xlabel(plain(panel.x.title))
    axes.set_ylabel(plain(panel.y.title))
    axes.tick_params(labelsize=SMALL_PT, width=0.6, length=2.5)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    is_heat = any(isinstance(mark, Heat) for mark in panel.marks)
    if not is_heat:
        axes.grid(axis="y", color=COLORS[COLORS_DRAWN]["grid"], linewidth=0.5)
    _set_scale(axes, "x", panel.x, inner)
    _set_scale(axes, "y", panel.y, inner)
    if ends is not None:
        axes.set_ylim(ends)
    pen.draw(axes, panel, ends)
    if (panel.x.low, panel.x.high) != (None, None):
        axes.set_xlim(panel.x.low, panel.x.high)


def _set_scale(axes: Axes, letter: str, axis: Axis, inner: float) -> None:
    one = axes.xaxis if letter == "x" else axes.yaxis
    if axis.kind == "category":
        words = [plain(word) for word in axis.categories]
        step = math.ceil(len(words) / ROWS_NAMED)
        one.set_ticks(range(0, len(words), step), words[::step])
        if axis.inside:
            axes.set_ylim(-0.5, len(words) - 0.3)
            axes.tick_params(axis="y", length=0, pad=-3)
            for label in axes.get_yticklabels():
                label.set(ha="left", va="bottom")
                up = ScaledTranslation(0, ABOVE_PT / 72, axes.figure.dpi_scale_trans)
                label.set_transform(label.get_transform() + up)
        if letter == "x":
            axes.set_xlim(-0.5, len(words) - 0.5)
            if _is_slanted(words, inner):
                axes.tick_params(axis="x", rotation=45)
                for label in axes.get_xticklabels():
                    label.set(ha="right", rotation_mode="anchor")
    elif axis.kind == "log":
        axes.set(**{f"{letter}scale": "log"})
    elif axis.percent:
        one.set_major_formatter(FuncFormatter(_in_percent))


def _is_slanted(words: Sequence[str], inner: float) -> bool:
    """Whether words below a panel so wide would run into each other."""
    longest = max((len(word) + len(other) for word, other in pairwise(words)), default=0)
    return longest / 2 / TICKS_PER_IN + WORD_GAP_IN > inner / max(1, len(words))


def _inner_width(chart: Chart, width: float, columns: int) -> float:
    """About how wide a panel is, in inches, without what stands to its left and right."""
    lines = [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Line) and mark.end_label]
    right = max((len(line.end_label or "") for line in lines), default=-4) + 4
    left = max(6, *(len(word) for panel in chart.panels for word in _words_beside(panel.y) or ("",))) + 4
    bar = BAR_IN if chart.color_bar or any(isinstance(mark, Heat) for mark in chart.panels[0].marks) else 0.0
    return (width - bar) / columns - (left + right) / LETTERS_PER_IN


def _label_room(chart: Chart) -> tuple[float, float]:
    """How much room the words of category axes take beside a panel and, slanted, below it."""
    beside = [len(word) for panel in chart.panels for word in _words_beside(panel.y)]
    below = [len(word) for panel in chart.panels for word in panel.x.categories]
    return max(beside, default=0) / LETTERS_PER_IN, 0.7 * max(below, default=0) / LETTERS_PER_IN


def _words_beside(axis: Axis) -> tuple[str, ...]:
    """Words of an axis that stand beside the panel."""
    return () if axis.inside else axis.categories


def _panel_height(chart: Chart) -> float:
    rows = max((len(mark.y) for panel in chart.panels for mark in panel.marks if isinstance(mark, Heat)), default=0)
    numbers = max(sum(len(mark.y) for mark in panel.marks if isinstance(mark, Estimates)) for panel in chart.panels)
    return max(PANEL_IN, min(0.7 + ROW_IN * rows, TALLEST_IN), min(0.5 + NUMBER_IN * numbers, TALLEST_IN))


def _is_wide(chart: Chart) -> bool:
    """Whether a panel has words that do not fit into a column."""
    return any(len(panel.x.categories) > 16 for panel in chart.panels)


def _add_color_bar(figure: Figure, axes: list[Axes], chart: Chart) -> None:
    heat = next((mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Heat)), None)
    if heat is not None:
        mappable = ScalarMappable(Normalize(*heat_limits(chart)), colormap(DIVERGING if heat.centered else SHADES))
        title, show = heat.name, FuncFormatter(_in_percent) if heat.percent else None
    elif chart.color_bar is not None and chart.color_bar.high > chart.color_bar.low:
        mappable = ScalarMappable(Normalize(chart.color_bar.low, chart.color_bar.high), colormap(SCALE))
        title, show = chart.color_bar.title, None
    else:
        return
    bar = figure.colorbar(mappable, ax=axes, aspect=30, pad=0.02, fraction=0.05, format=show)
    bar.set_label(plain(title))
    bar.ax.tick_params(labelsize=SMALL_PT, width=0.6, length=2.5)
    if heat is None and chart.color_bar is not None:
        bar.ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))


def _add_legend(figure: Figure, pen: Pen, width: float) -> int:
    """Add the legend below all panels; the number of its lines."""
    if not pen.entries:
        return 0
    longest = max(map(len, pen.entries)) + 5
    columns = max(1, min(len(pen.entries), int(width * LETTERS_PER_IN / longest)))
    figure.legend(
        list(pen.entries.values()),
        [plain(name) for name in pen.entries],
        loc="outside lower center",
        ncols=columns,
        fontsize=SMALL_PT,
        frameon=False,
        handlelength=2.2,
        columnspacing=1.4,
    )
    return math.ceil(len(pen.entries) / columns)


def colormap(stops: Mapping[str, Sequence[str]]) -> LinearSegmentedColormap:
    """The colours of cells, or of places on a colour bar."""
    return LinearSegmentedColormap.from_list("clipsweep", list(stops[COLORS_DRAWN]))


def _in_percent(share: float, _place: float | None = None) -> str:
    """A fraction as percent, without zeros that say nothing."""
    return f"{100 * share:.6g} %".replace("-", "\N{MINUS SIGN}")


def plain(text: str) -> str:
    """Text in which a dollar sign begins no formula."""
    return text.replace("$", r"\$")


def _metadata(chart: Chart, kind: str) -> dict[str, Any]:
    """What a file says of itself, in the words that its format has for it."""
    if kind == "pdf":
        return {"Title": chart.title, "Subject": chart.caption, "Creator": "clipsweep", "CreationDate": None}
    if kind == "svg":
        return {"Title": chart.title, "Description": chart.caption, "Creator": "clipsweep", "Date": None}
    return {"Title": chart.title, "Description": chart.caption} if kind == "png" else {}
