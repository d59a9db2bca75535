import math

import pytest

from clipsweep.analysis.drawing.chart import Chart, Heat
from clipsweep.analysis.figures.theory.reach import reach_chart
from tests.analysis.figures.frames import marks_of
from tests.analysis.theory_study import theory_of, theory_standings


@pytest.fixture(scope="module")
def chart() -> Chart:
    made = reach_chart(theory_of(theory_standings()))
    assert made is not None
    return made


def heat_of(chart: Chart, title: str) -> Heat:
    (panel,) = [number for number, panel in enumerate(chart.panels) if panel.title == title]
    (heat,) = marks_of(chart, Heat, panel)
    return heat


def test_a_cell_has_the_median_change_of_the_clips_in_its_layer(chart: Chart) -> None:
    heat = heat_of(chart, "attn: log‖ΔW_t‖")
    row = [-0.5 * 2 / (1 + block - 1) if block >= 1 else 0.0 for block in range(4)]  # rate 0.5 in layer 1
    assert heat.z[1] == pytest.approx(row)
    assert heat_of(chart, "attn: log‖G_t‖").z[1] == pytest.approx([-change for change in row])


def test_the_line_has_the_papers_count_of_blocks_to_its_right(chart: Chart) -> None:
    heat = heat_of(chart, "attn: log‖ΔW_t‖")
    assert heat.edge is not None
    assert [len(heat.x) - first for first in heat.edge] == [4, 3, 2, 1]  # L - k + 1 for k = 1 to 4


def test_cells_that_do_not_change_are_grey_an_mlp_begins_one_block_later(chart: Chart) -> None:
    for title, first in (("attn: log‖ΔW_t‖", 0), ("mlp: log‖ΔW_t‖", 1)):
        muted = heat_of(chart, title).muted
        assert muted is not None
        assert [[block < layer + first for block in range(4)] for layer in range(4)] == [list(row) for row in muted]


def test_one_very_large_change_does_not_make_the_others_pale(chart: Chart) -> None:
    heat = heat_of(chart, "attn: log‖ΔW_t‖")
    sizes = sorted(abs(cell) for row in heat.z for cell in row if cell)
    assert heat.most is not None
    assert sizes[0] < heat.most < sizes[-1]
    assert "have the last colour" in chart.caption


def test_many_blocks_have_signs_instead_of_numbers() -> None:
    few, many = (reach_chart(theory_of(theory_standings(n))) for n in (4, 12))
    assert few is not None
    assert many is not None
    one, other = (heat_of(chart, "attn: log‖ΔW_t‖").labels for chart in (few, many))
    assert one is not None
    assert other is not None
    assert one[1] == ["", "-1.0", "-0.50", "-0.33"]
    assert {word for row in other for word in row} == {"", "−"}


def test_of_nothing_measured_nothing_is_drawn() -> None:
    assert reach_chart(theory_of(theory_standings(measured=False))) is None
    assert reach_chart(None) is None


def test_holes_stay_holes_and_what_became_zero_has_the_last_colour() -> None:
    theory = theory_of(theory_standings(changes={"attn-1-0.5-0": (None, -math.inf, 2.0, 2.5)}, rates=(0.5,)))
    chart = reach_chart(theory)
    assert chart is not None
    heat = heat_of(chart, "attn: log‖ΔW_t‖")
    assert heat.most is not None
    assert heat.z[1][:2] == [None, -heat.most]
    assert heat.labels is not None
    assert heat.labels[1][:2] == ["", "−∞"]
