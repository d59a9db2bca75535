from dataclasses import replace

import pytest

from clipsweep.analysis.drawing.chart import Axis, Bars, Level, Mark, Panel
from clipsweep.analysis.drawing.extent import heat_limits, last_point, spread_out, y_ranges
from tests.analysis.drawing.charts import CELLS, HEAT, LINE, chart, panel


def test_panels_side_by_side_have_one_range_that_holds_the_bars_of_all() -> None:
    one, other = panel(LINE), panel(replace(LINE, y=[0.1, 0.2, None], spread=None))
    low, high = 0.1, 0.62  # 0.7 has no bar of its own
    ranges = y_ranges(chart(one, other))
    assert ranges[0] == ranges[1]
    assert ranges[0] is not None
    assert ranges[0][0] < low < high < 0.7 < ranges[0][1] < 0.76


def test_panels_may_have_a_range_each() -> None:
    one, other = panel(LINE), panel(Level(y=5.0, name="far"))
    first, second = y_ranges(replace(chart(one, other), same_y=False))
    assert (second, first == second) == ((4.99, 5.01), False)


def test_panels_of_different_quantities_do_not_share_a_range() -> None:
    seconds = replace(panel(Level(y=500.0, name="time")), y=Axis(title="seconds"))
    first, _ = y_ranges(chart(panel(LINE), seconds))
    assert first is not None
    assert first[1] < 1


def test_bars_start_at_zero() -> None:
    bars = Panel(
        title="", x=Axis(title=""), y=Axis(title=""), marks=[Bars(x=["a"], y=[0.5], name="a", low=[0.4], high=[0.6])]
    )
    ((low, high),) = filter(None, y_ranges(chart(bars)))
    assert low == 0.0
    assert high == pytest.approx(0.636)


def test_bars_that_are_all_zero_have_an_axis() -> None:
    marks = [Bars(x=["a", "b"], y=[0, 0], name="a")]
    gains, counts = Axis(title="points", least=2.0), Axis(title="answers", least=2.0, low=0.0)
    panels = [Panel(title="", x=Axis(title=""), y=axis, marks=marks) for axis in (gains, counts)]
    assert y_ranges(chart(*panels)) == [(-1.0, 1.0), (0.0, 1.0)]


def test_a_log_axis_holds_no_zero() -> None:
    marks: list[Mark] = [replace(LINE, y=[0.0, 10.0, float("inf")], spread=None), Level(y=1000.0, name="")]
    logged = Panel(title="", x=Axis(title=""), y=Axis(title="", kind="log"), marks=marks)
    ((low, high),) = filter(None, y_ranges(chart(logged)))
    assert 5 < low < 10 < 1000 < high < 2000


def test_labels_that_would_overlap_are_moved_apart_and_keep_their_order() -> None:
    moved = spread_out([0.5, 0.1, 0.51, 0.505], 0.1)
    assert moved[1] == 0.1
    assert moved[3] - moved[0] == pytest.approx(0.1)
    assert moved[2] - moved[3] == pytest.approx(0.1)
    assert sum(moved) / 4 == pytest.approx(0.40375, abs=0.02)


def test_the_last_point_of_a_line_is_the_last_that_is_drawn() -> None:
    assert last_point(replace(LINE, y=[0.5, 0.6, None])) == ("0.5", 0.6)
    assert last_point(replace(LINE, y=[None, None, float("nan")])) is None


def test_colors_of_cells_reach_as_far_to_both_sides() -> None:
    assert heat_limits(chart(CELLS)) == (-0.2, 0.2)
    assert heat_limits(chart()) == (-1.0, 1.0)


def test_colors_of_cells_begin_where_they_are_said_to() -> None:
    shares = replace(HEAT, z=[[0.8, 0.9, 1.0], [0.8, 0.8, 1.0]], centered=False)
    assert heat_limits(chart(replace(CELLS, marks=(shares,)))) == (0.8, 1.0)
    assert heat_limits(chart(replace(CELLS, marks=(replace(shares, low=0.0),)))) == (0.0, 1.0)


def test_cells_that_are_all_as_large_have_the_color_of_the_largest() -> None:
    alike = replace(HEAT, z=[[1.0] * 3] * 2, centered=False)
    assert heat_limits(chart(replace(CELLS, marks=[alike]))) == (0.99, 1.0)


def test_colours_that_diverge_end_where_the_cells_say() -> None:
    assert heat_limits(chart(replace(CELLS, marks=(replace(HEAT, most=0.15),)))) == (-0.15, 0.15)
