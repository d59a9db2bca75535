"""Condition number by layer, with the layers that it chose."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipsweep.analysis.drawing.chart import Axis, Chart, Dots, Line, Panel

NAMED_SITES = 3  # more would not fit into an entry of the legend
CAPTION = (
    "The largest singular value of each layer's matrices over the smallest, on a logarithmic axis, a line for each "
    "module. Stars mark the layers that were chosen by it. A gap is a singular matrix, whose condition number is "
    "infinite."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionLine:
    """Condition numbers of one module.

    Attributes:
        module: Its name.
        values: By layer, as far as measured; infinite where a matrix is singular.
        chosen: Layers that they chose.
    """

    module: str
    values: Mapping[int, float]
    chosen: tuple[int, ...] = ()


def condition_chart(lines: Sequence[ConditionLine]) -> Chart:
    """Condition number by layer on a log axis, a line for each module, stars at the chosen layers.

    An infinite condition number leaves a gap, as no axis holds it; a star there is left out too.
    """
    marks = [_line(line) for line in lines]
    chosen = [(layer, line) for line in lines for layer in line.chosen if math.isfinite(line.values[layer])]
    stars = Dots(
        x=[layer for layer, _ in chosen],
        y=[line.values[layer] for layer, line in chosen],
        name=_name_of([(layer, line.module) for line in lines for layer in line.chosen]),
        color="best",
        symbol="star",
    )
    panel = Panel(
        title="σmax / σmin",
        x=Axis(title="layer"),
        y=Axis(title="condition number (log scale)", kind="log"),
        marks=[*marks, stars] if chosen else marks,
    )
    return Chart(name="conditions", title="Condition number by layer", caption=CAPTION, panels=[panel])


def _line(line: ConditionLine) -> Line:
    layers = sorted(line.values)
    return Line(x=layers, y=[line.values[layer] for layer in layers], name=line.module)


def _name_of(chosen: Sequence[tuple[int, str]]) -> str:
    """What the stars are, with their places where these are few."""
    sites = ", ".join(f"{module} of layer {layer}" for layer, module in chosen)
    return f"clipped: {sites}" if len(chosen) <= NAMED_SITES else "clipped layers"
