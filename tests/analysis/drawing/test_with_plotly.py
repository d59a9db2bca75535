from dataclasses import replace

from clipsweep.analysis.drawing.chart import Bars
from clipsweep.analysis.drawing.style import COLORS, DARK, PLAIN
from clipsweep.analysis.drawing.with_plotly import draw_plotly, plotly_panels
from tests.analysis.drawing.charts import CELLS, LINE, RATES, chart, panel


def test_a_panel_has_the_numbers_of_its_chart() -> None:
    figure = draw_plotly(chart())
    assert [list(trace.y) for trace in figure.data[:3]] == [[0.5, 0.6, 0.7], [0.5, 0.6, 0.701], [0.7]]
    assert list(figure.data[0].marker.symbol) == ["circle", "circle", "circle-open"]
    assert [shape.type for shape in figure.layout.shapes] == ["rect", "line"]


def test_the_legend_has_each_name_once_and_the_colour_bar_is_there() -> None:
    figure = draw_plotly(chart(panel(), panel()))
    assert [trace.name for trace in figure.data if trace.showlegend] == ["within noise", "baseline", "best"]
    assert figure.data[-1].marker.colorbar.title.text == "layer"


def test_a_page_gets_a_figure_for_each_panel_with_one_range() -> None:
    one, other = plotly_panels(chart(panel(LINE), panel(replace(LINE, y=[0.1, 0.2, 0.3]), title="attn")))
    assert [one.title, other.title] == ["mlp", "attn"]
    assert one.figure.layout.yaxis.range == other.figure.layout.yaxis.range
    assert one.gradient is not None
    assert (one.gradient.low, one.gradient.high) == ("0", "27")


def test_a_figure_can_be_made_dark() -> None:
    (shown,) = plotly_panels(chart())
    assert shown.figure.layout.paper_bgcolor == "rgba(0,0,0,0)"
    assert shown.figure.layout.font.color == COLORS[PLAIN]["ink"]
    assert shown.dark.layout["font.color"] == COLORS[DARK]["ink"]
    assert [values[-1] for values in shown.dark.traces.values()][-2:] == [COLORS[DARK]["best"], COLORS[DARK]["paper"]]
    assert len(shown.dark.traces["marker.color"]) == len(shown.figure.data)
    assert [entry.color for entry in shown.dark_entries][1:] == [COLORS[DARK]["baseline"], COLORS[DARK]["best"]]


def test_muted_cells_are_a_layer_of_grey() -> None:
    (shown,) = plotly_panels(chart(CELLS))
    colored, greyed = shown.figure.data
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
