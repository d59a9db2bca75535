"""A small chart with every mark but cells, and one of cells."""

from __future__ import annotations

from dataclasses import replace

from clipsweep.analysis.drawing.chart import (
    Axis,
    Band,
    Chart,
    ColorBar,
    Dots,
    Estimates,
    Heat,
    Level,
    Line,
    Mark,
    Panel,
)

RATES = ("0", "0.5", "0.9")
ACROSS = Axis(title="clip rate", kind="category", categories=RATES)
UP = Axis(title="accuracy", percent=True)
LINE = Line(
    x=RATES, y=[0.5, 0.6, 0.7], name="layer 3", color=3.0, end_label="layer 3", hollow=[False, False, True],
    spread=[0.01, 0.02, None], in_legend=False,
)  # fmt: skip
MARKS = (
    Band(low=0.45, high=0.55, name="within noise"),
    Level(y=0.5, name="baseline"),
    LINE,
    replace(LINE, name="layer 4", y=[0.5, 0.6, 0.701], color=4.0, end_label="layer 4"),
    Dots(x=["0.9"], y=[0.7], name="best", color="best", symbol="star"),
)
HEAT = Heat(
    x=RATES, y=("0", "1"), z=[[0.0, 0.1, float("nan")], [-0.2, 0.01, 0.02]], name="gain", percent=True,
    muted=[[False, False, False], [False, True, True]], labels=[["0", "+10", ""], ["-20", "+1", "+2"]],
)  # fmt: skip


def panel(*marks: Mark, title: str = "mlp") -> Panel:
    """A panel of scores against clip rate."""
    return Panel(title=title, x=ACROSS, y=UP, marks=marks or MARKS)


CELLS = Panel(title="mlp", x=ACROSS, y=Axis(title="layer", kind="category", categories=("0", "1")), marks=(HEAT,))


WORDS = ("a long name: -0.20", "another: +0.50")  # from the bottom
ESTIMATES = Estimates(
    x=[0.5, -0.2], y=tuple(reversed(WORDS)), thin=[(0.1, 0.75), None], broad=[(0.25, 0.5), (-0.5, 0.0)],
    thin_name="by layer", broad_name="by example", name="theory",
)  # fmt: skip
NUMBERS = Panel(
    title="",
    x=Axis(title="correlation", low=-1, high=1),
    y=Axis(title="", kind="category", categories=WORDS, inside=True),
    marks=(ESTIMATES,),
)


def chart(*panels: Panel) -> Chart:
    """A chart of these panels, or of one with every mark but cells."""
    bar = ColorBar(title="layer", low=0, high=27)
    return Chart(name="figure1", title="Scores", caption="What <is> shown.", panels=panels or (panel(),), color_bar=bar)
