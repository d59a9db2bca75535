"""Where axes begin and end, the same for all who draw, and where labels at the ends of lines stand."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from clipsweep.analysis.drawing.chart import (
    Axis,
    Band,
    Bars,
    Chart,
    Dots,
    Estimates,
    Heat,
    Level,
    Line,
    Mark,
    Number,
    Panel,
    finite,
)

MARGIN = 0.06  # of the range, above and below
FLAT = 0.01  # around what stays where it is
LEAST_PERCENT = 0.02  # that an axis of percent shows, so that a tenth of a point does not look like much
FAR = 3.0  # times the distance of the quartiles: what is as far beyond them is left outside (Tukey's far out values)
Range = tuple[float, float]


def y_ranges(chart: Chart) -> list[Range | None]:
    """Where the y axis of each panel begins and ends; None for axes of words and panels without a number.

    Panels of one range share it with those whose axis has the same title.
    """
    found = [_fitted(panel) for panel in chart.panels]
    if not chart.same_y:
        return found
    titles = [panel.y.title for panel in chart.panels]
    by_title: dict[str, list[Range]] = {}
    for title, each in zip(titles, found, strict=True):
        if each is not None:
            by_title.setdefault(title, []).append(each)
    shared = {title: (min(low for low, _ in ends), max(high for _, high in ends)) for title, ends in by_title.items()}
    return [None if each is None else shared[title] for title, each in zip(titles, found, strict=True)]


def spread_out(heights: Sequence[float], gap: float) -> list[float]:
    """Heights moved as little as this needs apart, so that no two are nearer than a gap; their order stays."""
    order = sorted(range(len(heights)), key=lambda number: heights[number])
    up = [heights[number] for number in order]
    down = list(up)
    for place in range(1, len(up)):
        up[place] = max(up[place], up[place - 1] + gap)
    for place in range(len(down) - 2, -1, -1):
        down[place] = min(down[place], down[place + 1] - gap)
    moved = [0.0] * len(order)
    for place, number in enumerate(order):
        moved[number] = (up[place] + down[place]) / 2  # between two that hold the gap lies one that does
    return moved


def last_point(line: Line) -> tuple[float | str, float] | None:
    """The last of a line's points that is drawn; None where none is."""
    for x, y in zip(reversed(line.x), reversed(line.y), strict=True):
        height = finite(y)
        if height is not None:
            return x, height
    return None


def _fitted(panel: Panel) -> Range | None:
    """Around what is drawn, but for the ends that the axis names."""
    axis = panel.y
    values = [] if axis.kind == "category" else sorted(_heights(panel.marks, axis))
    if not values:
        return None
    low, high = _widened(values[0], values[-1], axis)
    if any(isinstance(mark, Bars) for mark in panel.marks) and axis.kind == "linear":
        low, high = (0.0 if values[-1] > values[0] >= 0 else low), (0.0 if values[0] < values[-1] <= 0 else high)
    return (low if axis.low is None else axis.low), (high if axis.high is None else axis.high)


def _widened(low: float, high: float, axis: Axis) -> Range:
    if axis.kind == "log":
        factor = max((high / low) ** MARGIN, 1.05)
        return low / factor, high * factor
    least = axis.least or (LEAST_PERCENT if axis.percent else 0.0)
    margin = max(MARGIN * (high - low), (least - (high - low)) / 2) or FLAT
    return low - margin, high + margin


def _heights(marks: Sequence[Mark], axis: Axis) -> Iterator[float]:
    """All heights that an axis has to hold."""
    for mark in marks:
        for value in _numbers(mark):
            height = finite(value)
            if height is not None and (axis.kind != "log" or height > 0):
                yield height


def _numbers(mark: Mark) -> Iterator[Number]:
    match mark:
        case Line(dotted=True):
            yield from _without_outliers(mark.y)
        case Line(spread=None) | Dots():
            yield from mark.y
        case Line():
            for y, spread in zip(mark.y, mark.spread or (), strict=True):
                half = finite(spread) or 0.0
                yield from () if y is None else (y - half, y + half)
        case Bars():
            yield 0.0
            yield from (*mark.y, *(mark.low or ()), *(mark.high or ()))
        case Level():
            yield mark.y
        case Band():
            yield from (mark.low, mark.high)
        case Heat() | Estimates():
            yield from ()


def _without_outliers(values: Sequence[Number]) -> Iterator[float]:
    """Values but those far from most: published curves have such, and would make all others flat."""
    found = sorted(value for each in values if (value := finite(each)) is not None)
    if not found:
        return
    lower, upper = found[len(found) // 4], found[3 * len(found) // 4]
    far = FAR * max(upper - lower, FLAT)
    yield from (value for value in found if lower - far <= value <= upper + far)


def heat_limits(chart: Chart) -> Range:
    """The values at both ends of the colours of a chart's cells; around zero where they diverge from it."""
    heats = [mark for panel in chart.panels for mark in panel.marks if isinstance(mark, Heat)]
    values = [value for heat in heats for row in heat.z for cell in row if (value := finite(cell)) is not None]
    if not values:
        return -1.0, 1.0
    if any(heat.centered for heat in heats):
        ends = [heat.most for heat in heats if heat.most is not None]
        most = max(ends or map(math.fabs, values)) or FLAT
        return -most, most
    low = min([*values, *(heat.low for heat in heats if heat.low is not None)])
    return min(low, max(values) - FLAT), max(values)


def edge_corners(edge: Sequence[int]) -> list[tuple[float, float]]:
    """The corners of a line through cells, from the bottom: column and row, of which whole numbers are middles."""
    corners = []
    for row, column in enumerate(edge):
        corners += [(column - 0.5, row - 0.5), (column - 0.5, row + 0.5)]
    return corners
