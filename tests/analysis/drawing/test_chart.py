import math

from clipsweep.analysis.drawing.chart import finite


def test_what_no_axis_can_hold_leaves_a_gap() -> None:
    assert [finite(value) for value in (1, 0.5, math.inf, math.nan, None)] == [1.0, 0.5, None, None, None]
