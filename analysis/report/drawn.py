"""The figures as the page takes them: their data, their legend, and what is read aloud."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from plotly.utils import PlotlyJSONEncoder

from clipsweep.analysis.drawing.chart import Chart
from clipsweep.analysis.drawing.with_plotly import Gradient, PanelFigure, plotly_panels
from clipsweep.analysis.report.environment import escape_json


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """An entry of a legend that the page writes itself, so that it wraps at any width."""

    name: str
    mark: str
    light: str
    dark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPanel:
    """One plot.

    Attributes:
        title: What it shows.
        legend: Its entries.
        gradient: Its colour bar, which the page draws; None where it has none.
        data: What plotly draws, and what makes that dark, as JSON for a script element.
        height: In pixels, so that nothing moves when it is drawn.
    """

    title: str
    legend: Sequence[LegendEntry]
    gradient: Gradient | None
    data: str
    height: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnFigure:
    """A figure under its heading.

    Attributes:
        name: Its anchor.
        title: In the reader's words.
        caption: What is shown, how it was measured and what the marks mean.
        panels: Side by side.
    """

    name: str
    title: str
    caption: str
    panels: Sequence[DrawnPanel]


def draw(chart: Chart) -> DrawnFigure:
    """A chart as the page takes it."""
    panels = [_drawn(panel) for panel in plotly_panels(chart)]
    return DrawnFigure(name=chart.name, title=chart.title, caption=chart.caption, panels=panels)


def _drawn(panel: PanelFigure) -> DrawnPanel:
    legend = [
        LegendEntry(name=light.name, mark=light.mark, light=light.color, dark=dark.color)
        for light, dark in zip(panel.entries, panel.dark_entries, strict=True)
    ]
    data = json.dumps({"figure": panel.figure, "dark": asdict(panel.dark)}, cls=PlotlyJSONEncoder)
    return DrawnPanel(
        title=panel.title,
        legend=legend,
        gradient=panel.gradient,
        data=escape_json(data),
        height=panel.figure["layout"]["height"],
    )
