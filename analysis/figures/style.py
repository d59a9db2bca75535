"""What all figures have in common: colours, marks, axes and the entries of the page's own legend."""

from __future__ import annotations

import plotly.graph_objects as go
from plotly.colors import qualitative

HEIGHT_PX = 320
STAR = {"symbol": "star", "size": 16, "color": "#d62728", "line": {"color": "white", "width": 1}}
LINE_COLORS = [color for color in qualitative.D3 if color.lower() != STAR["color"]]
ESTIMATED = "circle-open"
STOPPED_COLOR, FINISHED_COLOR = "#9aa3b2", LINE_COLORS[0]
PLOT_CONFIG = {"responsive": True, "displaylogo": False, "displayModeBar": False}


def lay_out(figure: go.Figure, x_title: str, y_title: str) -> None:
    """Give a figure the size, margins and axis titles of all figures."""
    figure.update_layout(
        template="plotly_white",
        height=HEIGHT_PX,
        margin={"l": 56, "r": 12, "t": 12, "b": 48},
        showlegend=False,  # the page's own legend wraps at any width
        hovermode="closest",
        xaxis={"title": {"text": x_title}},
        yaxis={"title": {"text": y_title}},
    )


def legend_of(figure: go.Figure) -> list[tuple[str, str, str]]:
    """Name, colour and mark (``line``, ``dash``, ``star`` or ``dot``) of each trace."""
    entries = []
    for trace in figure.data:
        marked = trace.mode == "markers"
        mark = (trace.marker.symbol or "dot") if marked else trace.line.dash or "line"
        entries.append((trace.name, trace.marker.color if marked else trace.line.color, mark))
    return entries


def in_words(metric: str) -> str:
    """A column of scores as a reader sees it: ``macro f1``."""
    return metric.replace("_", " ")
