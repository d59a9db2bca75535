from dataclasses import replace

from clipsweep.analysis.drawing.chart import Heat
from clipsweep.analysis.figures.scores.atlas import atlas_chart
from tests.analysis.figures.frames import marks_of, points_frame
from tests.analysis.figures.scores.test_curves import POINTS, answered
from tests.analysis.winners.points import make_point, rows_of


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
