import math

from clipsweep.analysis.drawing.chart import Dots, Line
from clipsweep.analysis.figures.conditions import ConditionLine, condition_chart

LINES = [
    ConditionLine(module="attn", values={0: 2e3, 1: 8e3, 5: 9e2}, chosen=(5,)),
    ConditionLine(module="mlp", values={0: 8.0, 1: math.inf, 5: 14.0}, chosen=(5,)),
]


def test_condition_numbers_have_a_line_for_each_module_on_a_log_axis_and_stars_at_the_chosen_layers() -> None:
    (panel,) = condition_chart(LINES).panels
    attn, mlp, stars = panel.marks
    assert isinstance(attn, Line)
    assert isinstance(mlp, Line)
    assert isinstance(stars, Dots)
    assert (attn.name, list(attn.x), list(attn.y)) == ("attn", [0, 1, 5], [2e3, 8e3, 9e2])
    assert list(mlp.y) == [8.0, math.inf, 14.0]  # which leaves a gap
    assert (list(stars.x), list(stars.y)) == ([5, 5], [9e2, 14.0])
    assert stars.name == "clipped: attn of layer 5, mlp of layer 5"
    assert panel.y.kind == "log"


def test_many_chosen_layers_are_not_listed_in_the_legend() -> None:
    line = ConditionLine(module="mlp", values=dict.fromkeys(range(9), 2.0), chosen=tuple(range(5)))
    assert condition_chart([line]).panels[0].marks[-1].name == "clipped layers"


def test_nothing_is_starred_where_no_layer_was_chosen_by_it() -> None:
    (panel,) = condition_chart([ConditionLine(module="mlp", values={0: 2.0})]).panels
    assert len(panel.marks) == 1
