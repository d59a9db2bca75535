from dataclasses import replace

import pytest

from clipsweep.analysis.drawing.chart import Heat, Line
from clipsweep.analysis.figures.scores.atlas import atlas_chart
from clipsweep.analysis.figures.scores.curves import curve_chart
from tests.analysis.figures.frames import marks_of, points_frame
from tests.analysis.figures.scores.test_curves import POINTS, answered
from tests.analysis.winners.points import make_point, rows_of, stopped


def test_a_cell_is_the_gain_of_a_layer_at_a_rate_and_grey_where_it_may_be_chance() -> None:
    frame = points_frame([*POINTS, make_point(2, 0.5)], answered() | rows_of(mlp_2_0__5=[10]))
    chart = atlas_chart(frame)
    assert chart is not None
    (heat,) = marks_of(chart, Heat)
    assert (list(heat.y), list(heat.x)) == (["0", "2", "5"], ["0.5", "0.9"])
    assert [[round(cell) for cell in row] for row in heat.z[::2]] == [[-20, -30], [10, 30]]  # type: ignore[arg-type]
    assert heat.muted == [[True, False], [False, False], [True, False]]
    assert heat.labels == [["-20", "-30"], ["+50", ""], ["+10", "+30"]]
    assert heat.texts is not None
    assert heat.texts[1] == ["layer 2 at clip rate 0.5: +50.0 points", "not tried"]


def test_a_stopped_point_gains_what_the_curves_expect_of_it_and_says_so() -> None:
    frame = points_frame(POINTS, answered() | stopped("mlp-5-0.9-0", (True, True, False)))
    atlas, curves = atlas_chart(frame), curve_chart(frame)
    assert atlas is not None
    assert curves is not None
    (heat,) = marks_of(atlas, Heat)
    estimate = list(marks_of(curves, Line)[1].y)[1]
    assert estimate is not None
    assert heat.z[1][1] == pytest.approx(100 * (estimate - 0.5))
    assert heat.labels is not None
    assert [label.endswith("*") for label in (*heat.labels[0], *heat.labels[1])] == [False, False, False, True]
    assert heat.texts is not None
    assert heat.texts[1][1].endswith("stopped early: the one expected on all rows")
    assert "Asterisk: stopped early" in atlas.caption
    whole = atlas_chart(points_frame(POINTS, answered()))
    assert whole is not None
    assert "Asterisk" not in whole.caption


def test_where_scores_are_no_accuracies_a_stopped_point_gains_what_it_does_on_the_rows_seen() -> None:
    points = [replace(point, metric="macro_f1") for point in POINTS]
    frame = points_frame(points, answered() | stopped("mlp-5-0.9-0", (True, True, False)))
    chart = atlas_chart(frame)
    assert chart is not None
    assert marks_of(chart, Heat)[0].z[1][1] == pytest.approx(100 * frame["gain"].iloc[-1])
    assert "that on the rows seen" in chart.caption


def test_many_rates_share_columns() -> None:
    rates = [number / 40 for number in range(1, 40)]
    points = [make_point(None), *(make_point(1, rate) for rate in rates)]
    rows = rows_of(base=[5], **{f"mlp_1_{rate}".replace(".", "__"): [6] for rate in rates})
    chart = atlas_chart(points_frame(points, rows))
    assert chart is not None
    assert chart.panels[0].x.categories[::9] == ("0-0.1", "0.9-1")
    assert chart.caption.endswith("it has their mean.")


def test_points_of_several_clips_alone_make_no_map() -> None:
    clips = (*make_point(1).clips, *make_point(3).clips)
    joint = replace(make_point(1), clips=clips)
    assert atlas_chart(points_frame([make_point(None), joint], rows_of(base=[5], mlp_1_0__5=[6]))) is None
