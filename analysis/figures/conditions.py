"""Condition number by layer: the paper's Figure 3."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from clipsweep.analysis.figures.style import LINE_COLORS, STAR, lay_out

NAMED_SITES = 3  # more would not fit into an entry of the legend
EVERY_LAYER_TICKED = 12


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


def condition_figure(lines: Sequence[ConditionLine]) -> go.Figure:
    """Condition number by layer on a log axis, a line for each module, stars at the chosen layers.

    An infinite condition number leaves a gap, as no axis holds it; a star there is left out too.
    """
    figure = go.Figure()
    for number, line in enumerate(lines):
        layers = sorted(line.values)
        figure.add_scatter(
            x=layers,
            y=[_drawn(line.values[layer]) for layer in layers],
            name=line.module,
            mode="lines+markers",
            line={"color": LINE_COLORS[number % len(LINE_COLORS)]},
            hovertemplate=f"{line.module} of layer %{{x}}: %{{y:.4g}}",
        )
    _add_stars(figure, lines)
    measured = {layer for line in lines for layer in line.values}
    lay_out(figure, "layer", "condition number (log scale)")
    figure.update_xaxes(dtick=1 if len(measured) <= EVERY_LAYER_TICKED else None)
    figure.update_yaxes(type="log", exponentformat="power")
    return figure


def _add_stars(figure: go.Figure, lines: Sequence[ConditionLine]) -> None:
    """Mark the layers that were chosen."""
    chosen = [(layer, line) for line in lines for layer in line.chosen]
    if not chosen:
        return
    sites = ", ".join(f"{line.module} of layer {layer}" for layer, line in chosen)
    figure.add_scatter(
        x=[layer for layer, _ in chosen],
        y=[_drawn(line.values[layer]) for layer, line in chosen],
        name=f"clipped: {sites}" if len(chosen) <= NAMED_SITES else "clipped layers",
        mode="markers",
        marker=STAR,
        hovertemplate="clipped: layer %{x}",
    )


def _drawn(value: float) -> float | None:
    """A value as an axis can hold it; None leaves a gap."""
    return value if math.isfinite(value) else None
