"""A chart as a value: panels, axes and marks, which matplotlib and plotly draw from the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

AxisKind = Literal["linear", "log", "category"]
Symbol = Literal["dot", "circle-open", "star"]
Number = float | int | None  # None, as NaN and infinity do, leaves a gap
Color = str | float | None  # a name of ``style.COLORS``; a place on the chart's colour bar; or the next free colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a panel.

    Attributes:
        title: What it shows, with its unit.
        kind: How values lie on it; on ``"category"`` they are words, evenly spaced in the order of ``categories``.
        categories: Of a category axis, all of its words in their order.
        low: Where it begins; None to fit what is drawn.
        high: Where it ends.
        least: The smallest range that it shows, so that a small difference does not look like a large one.
        percent: Whether fractions are shown as percent.
        inside: Whether the words of a category axis of ``y`` stand inside the panel, above their row.
    """

    title: str
    kind: AxisKind = "linear"
    categories: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    least: float = 0.0
    percent: bool = False
    inside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Points joined in their order.

    Attributes:
        x: Where they are; words on a category axis.
        y: How high; what is not finite leaves a gap.
        name: In the legend, and in what a pointer shows.
        color: As ``Color`` says.
        dashed: Whether the line is.
        dotted: Whether it is dotted instead, as published numbers are.
        steps: Whether it goes level and then up, as a best-so-far does.
        marked: Whether each point has a dot.
        hollow: Which points have a circle instead, as they are estimated; None for none.
        spread: Half the height of a bar at each point, in units of ``y``; None for no bars.
        end_label: Word at its last point, for lines that are labelled there and not in a legend.
        texts: What a pointer shows at each point besides its numbers.
        in_legend: Whether the legend has it; lines that a colour bar tells apart are not in it.
    """

    x: Sequence[float | str]
    y: Sequence[Number]
    name: str
    color: Color = None
    dashed: bool = False
    dotted: bool = False
    steps: bool = False
    marked: bool = True
    hollow: Sequence[bool] | None = None
    spread: Sequence[Number] | None = None
    end_label: str | None = None
    texts: Sequence[str] | None = None
    in_legend: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Dots:
    """Single points; fields as ``Line`` has them.

    Attributes:
        symbol: What each is drawn as.
    """

    x: Sequence[float | str]
    y: Sequence[Number]
    name: str
    color: Color | Sequence[float] = None
    symbol: Symbol = "dot"
    texts: Sequence[str] | None = None
    in_legend: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """Bars from zero; fields as ``Line`` has them.

    Attributes:
        low: Lower end of each bar's interval, in units of ``y``; None for no intervals.
        high: Upper end.
    """

    x: Sequence[str]
    y: Sequence[Number]
    name: str
    color: Color = None
    low: Sequence[Number] | None = None
    high: Sequence[Number] | None = None
    texts: Sequence[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """A dashed line across the panel at one height, such as the baseline."""

    y: float
    name: str
    color: Color = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A pale band across the panel, within which a difference is noise, say."""

    low: float
    high: float
    name: str
    color: Color = "noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """A grid of coloured cells.

    Attributes:
        x: Words of the columns.
        y: Words of the rows, from the bottom.
        z: A value for each cell, row by row: shape ``(len(y), len(x))``; what is not finite leaves a hole.
        muted: Cells that are drawn grey, as they are within noise, say; the same shape.
        name: What the values are, with their unit: title of the cells' own colour bar.
        centered: Whether the colours diverge from zero.
        percent: Whether values are fractions that are shown as percent.
        low: Where the colours begin, if they do not diverge; None for the least value that there is.
        most: Where they end, if they diverge: what is further from zero has the last colour; None for the furthest.
        edge: Of each row the first column to the right of a line that is drawn through the cells; None for no line.
        edge_name: Of that line, in the legend.
        labels: A short word in each cell, where cells are large enough; the same shape.
        texts: What a pointer shows at each cell.
    """

    x: Sequence[str]
    y: Sequence[str]
    z: Sequence[Sequence[Number]]
    name: str
    muted: Sequence[Sequence[bool]] | None = None
    centered: bool = True
    percent: bool = False
    low: float | None = None
    most: float | None = None
    edge: Sequence[int] | None = None
    edge_name: str = ""
    labels: Sequence[Sequence[str]] | None = None
    texts: Sequence[Sequence[str]] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimates:
    """Numbers with two intervals, a row each: a dot on a thin bar with ends, over a broad pale one; zero is marked.

    Attributes:
        x: The numbers.
        y: Words of their rows.
        thin: Low and high end of each thin bar; None for none.
        broad: The same of the broad ones.
        thin_name: What a thin bar is, in the legend.
        broad_name: The same of the broad ones.
        name: Of the numbers, in the legend.
        color: As ``Color`` says.
        texts: What a pointer shows at each.
    """

    x: Sequence[float]
    y: Sequence[str]
    thin: Sequence[tuple[float, float] | None]
    broad: Sequence[tuple[float, float] | None]
    thin_name: str
    broad_name: str
    name: str
    color: Color = None
    texts: Sequence[str] | None = None


Mark = Line | Dots | Bars | Level | Band | Heat | Estimates


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One pair of axes with what is drawn on them, from back to front."""

    title: str
    x: Axis
    y: Axis
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColorBar:
    """What a colour stands for where marks give a place on it: for Figure 1 the depth of a layer."""

    title: str
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """One figure.

    Attributes:
        name: Of its files: ``figure1``.
        title: In the reader's words.
        caption: What is shown, how it was measured, and what the marks mean, in whole sentences. It is also what a
            screen reader reads.
        panels: From left to right, row by row.
        columns: Panels in a row of the printed figure.
        color_bar: Of the whole chart; None where no mark needs it.
        same_y: Whether all panels have one range of ``y``, so that they can be compared.
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]
    columns: int = 2
    color_bar: ColorBar | None = None
    same_y: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table as a value, such as the paper's Tables 2 to 8.

    Attributes:
        name: Of its files: ``tables``.
        title: In the reader's words.
        caption: As a chart has it.
        columns: Their headings.
        rows: A cell for each column: text is set left, numbers right; None is an empty cell.
    """

    name: str
    title: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float | int | None]]


def finite(value: Number) -> float | None:
    """A value as an axis can hold it; None leaves a gap."""
    return None if value is None or not math.isfinite(value) else float(value)
