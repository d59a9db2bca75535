from dataclasses import replace

import plotly.graph_objects as go

from clipsweep.analysis.drawing.chart import Bars
from clipsweep.analysis.drawing.style import COLORS, DARK, PLAIN
from clipsweep.analysis.drawing.with_plotly import PanelFigure, draw_plotly, plotly_panels
from tests.analysis.drawing.charts import CELLS, ESTIMATES, HEAT, LINE, NUMBERS, RATES, WORDS, chart, panel


def whole(panel: PanelFigure) -> go.Figure:
    """The figure as plotly's own classes hold it, which refuse what plotly.js would not know."""
    return go.Figure(panel.figure)


def test_a_panel_has_the_numbers_of_its_chart() -> None:
    figure = draw_plotly(chart())
    assert [list(trace.y) for trace in figure.data[:3]] == [[0.5, 0.6, 0.7], [0.5, 0.6, 0.701], [0.7]]
    assert list(figure.data[0].marker.symbol) == ["circle", "circle", "circle-open"]
    assert [shape.type for shape in figure.layout.shapes] == ["rect", "line"]


def test_where_a_grid_of_panels_is_not_full_nothing_is_drawn() -> None:
    layout = draw_plotly(replace(chart(panel(), panel(), panel()), columns=2)).layout
    assert [layout.xaxis3.visible, layout.xaxis4.visible, layout.yaxis4.visible] == [None, False, False]


def test_the_legend_has_each_name_once_and_the_colour_bar_is_there() -> None:
    figure = draw_plotly(chart(panel(), panel()))
    assert [trace.name for trace in figure.data if trace.showlegend] == ["within noise", "baseline", "best"]
    assert figure.data[-1].marker.colorbar.title.text == "layer"


def test_a_page_gets_a_figure_for_each_panel_with_one_range() -> None:
    one, other = plotly_panels(chart(panel(LINE), panel(replace(LINE, y=[0.1, 0.2, 0.3]), title="attn")))
    assert [one.title, other.title] == ["mlp", "attn"]
    assert whole(one).layout.yaxis.range == whole(other).layout.yaxis.range
    assert one.gradient is not None
    assert (one.gradient.low, one.gradient.high) == ("0", "27")


def test_a_figure_can_be_made_dark() -> None:
    (shown,) = plotly_panels(chart())
    assert whole(shown).layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert whole(shown).layout.font.color == COLORS[PLAIN]["ink"]
    assert shown.dark.layout["font.color"] == COLORS[DARK]["ink"]
    assert [values[-1] for values in shown.dark.traces.values()][-2:] == [COLORS[DARK]["best"], COLORS[DARK]["paper"]]
    assert len(shown.dark.traces["marker.color"]) == len(whole(shown).data)
    assert [entry.color for entry in shown.dark_entries][1:] == [COLORS[DARK]["baseline"], COLORS[DARK]["best"]]


def test_muted_cells_are_a_layer_of_grey() -> None:
    (shown,) = plotly_panels(chart(CELLS))
    colored, greyed = whole(shown).data
    assert [list(row) for row in colored.z] == [[0.0, 0.1, None], [-0.2, None, None]]
    assert [list(row) for row in greyed.z] == [[None] * 3, [None, 0.01, 0.02]]
    assert [list(row) for row in colored.text] == [["0", "+10", ""], ["-20", "", ""]]
    assert [list(row) for row in greyed.text] == [["", "", ""], ["", "+1", "+2"]]


def test_names_hold_no_markup() -> None:
    figure = draw_plotly(chart(panel(replace(LINE, name="<b>a</b>"), title="<i>")))
    assert figure.data[0].name == "&lt;b&gt;a&lt;/b&gt;"
    assert figure.layout.annotations[0].text == "&lt;i&gt;"


def test_only_panels_with_a_place_on_the_colour_bar_show_it() -> None:
    panels = plotly_panels(chart(panel(LINE), panel(replace(LINE, color=None))))
    assert [each.gradient is not None for each in panels] == [True, False]


def test_the_texts_of_bars_are_for_the_pointer_alone() -> None:
    (trace,) = draw_plotly(chart(panel(Bars(x=RATES, y=[1, 2, 3], name="a", texts=["x", "y", "z"])))).data[:1]
    assert (list(trace.text), trace.textposition) == (["x", "y", "z"], "none")


def test_numbers_have_a_thin_bar_over_a_broad_one_and_a_line_at_zero() -> None:
    (shown,) = plotly_panels(chart(NUMBERS))
    broad, thin = whole(shown).data
    assert list(thin.x) == [0.5, -0.2]
    assert list(thin.y) == list(ESTIMATES.y)
    assert (list(thin.error_x.arrayminus), list(thin.error_x.array)) == ([0.4, 0.0], [0.25, 0.0])
    assert (list(broad.error_x.arrayminus), list(broad.error_x.array)) == ([0.25, 0.3], [0.0, 0.2])
    assert broad.error_x.thickness > thin.error_x.thickness
    (zero,) = whole(shown).layout.shapes
    assert (zero.x0, zero.x1) == (0, 0)
    assert [entry.name for entry in shown.entries] == ["theory", "by layer", "by example"]
    assert shown.dark.traces["error_x.color"] != [broad.error_x.color, thin.error_x.color]


def test_a_notebook_shows_numbers_of_any_number_of_names() -> None:
    names = [f"group {number}" for number in range(8)]  # each has another symbol, as far as there are some
    figure = draw_plotly(chart(panel(*(replace(ESTIMATES, name=name) for name in names))))
    assert [trace.name for trace in figure.data if trace.showlegend][: len(names)] == names


def test_long_words_of_an_axis_stand_inside_the_panel() -> None:
    (shown,) = plotly_panels(chart(NUMBERS))
    words = whole(shown).layout.annotations
    assert [(each.text, each.y) for each in words] == [(word, word) for word in WORDS]
    assert not whole(shown).layout.yaxis.showticklabels


def test_a_line_through_cells_has_its_corners_between_them() -> None:
    (shown,) = plotly_panels(chart(replace(CELLS, marks=(replace(HEAT, edge=[0, 1], edge_name="count"),))))
    (line,) = whole(shown).layout.shapes
    assert line.path == "M-0.5,-0.5L-0.5,0.5L0.5,0.5L0.5,1.5"
    assert [entry.name for entry in shown.entries] == ["count"]
