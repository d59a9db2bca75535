"""Score against parameters kept, with the points that no other beats."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from clipsweep.analysis.figures.style import LINE_COLORS, STAR, in_words, lay_out
from clipsweep.analysis.winners.pareto import Rated


def front_figure(rated: Sequence[Rated], front: Sequence[Rated]) -> go.Figure:
    """Every complete point, and the Pareto front as a line of steps."""
    figure = go.Figure()
    beaten = [each for each in rated if each not in front]
    _add(figure, "other points", beaten, "markers", LINE_COLORS[0])
    _add(figure, "front", front, "lines+markers", str(STAR["color"]))
    lay_out(figure, "parameters kept", f"validation {in_words(rated[0].point.metric)}")
    return figure


def _add(figure: go.Figure, name: str, points: Sequence[Rated], mode: str, color: str) -> None:
    figure.add_scatter(
        x=[each.parameters for each in points],
        y=[each.score for each in points],
        name=name,
        mode=mode,
        line={"shape": "hv", "color": color},
        marker={"color": color},
        hovertemplate="%{x} parameters: %{y:.4f}",
    )
