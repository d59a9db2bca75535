import math

from clipsweep.analysis.figures.conditions import ConditionLine, condition_figure
from clipsweep.analysis.figures.style import LINE_COLORS, legend_of

LINES = [
    ConditionLine(module="attn", values={0: 2e3, 1: 8e3, 5: 9e2}, chosen=(5,)),
    ConditionLine(module="mlp", values={0: 8.0, 1: math.inf, 5: 14.0}, chosen=(5,)),
]


def test_condition_numbers_have_a_line_for_each_module_on_a_log_axis_and_stars_at_the_chosen_layers() -> None:
    figure = condition_figure(LINES)
    assert [trace.name for trace in figure.data] == ["attn", "mlp", "clipped: attn of layer 5, mlp of layer 5"]
    assert (list(figure.data[0].x), list(figure.data[0].y)) == ([0, 1, 5], [2e3, 8e3, 9e2])
    assert (list(figure.data[2].x), list(figure.data[2].y)) == ([5, 5], [9e2, 14.0])
    assert figure.layout.yaxis.type == "log"
    assert [mark for _, _, mark in legend_of(figure)] == ["line", "line", "star"]


def test_an_infinite_condition_number_leaves_a_gap() -> None:
    assert list(condition_figure(LINES).data[1].y) == [8.0, None, 14.0]


def test_many_chosen_layers_are_not_listed_in_the_legend() -> None:
    line = ConditionLine(module="mlp", values=dict.fromkeys(range(9), 2.0), chosen=tuple(range(5)))
    assert condition_figure([line]).data[-1].name == "clipped layers"


def test_no_module_is_drawn_in_the_color_of_the_stars() -> None:
    assert len(set(LINE_COLORS)) == 9
    assert "#d62728" not in map(str.lower, LINE_COLORS)
