from dataclasses import replace

from clipsweep.analysis.drawing.chart import Dots, Heat, Line
from clipsweep.analysis.figures.scores.joint import best_of, joint_chart
from tests.analysis.figures.frames import joint_point, marks_of, points_frame
from tests.analysis.figures.scores.test_curves import POINTS, answered
from tests.analysis.winners.points import make_point, rows_of, stopped

JOINT = [
    make_point(None),
    make_point(1),
    joint_point("two", (1, "mlp", 0.5), (2, "attn", 0.9)),
    joint_point("three", (1, "mlp", 0.9), (2, "attn", 0.9), (3, "mlp", 0.0)),
]
ROWS = rows_of(base=[5], mlp_1_0__5=[6], two=[9], three=[8])


def test_gains_are_shown_by_the_number_of_places_that_are_clipped() -> None:
    chart = joint_chart(points_frame(JOINT, ROWS))
    assert chart is not None
    (line,) = marks_of(chart, Line)
    assert (list(line.x), [round(float(y or 0), 3) for y in line.y]) == (["1", "2"], [10, 40])
    assert [list(dots.x) for dots in marks_of(chart, Dots)] == [
        ["1"],
        ["2", "2"],
        ["2"],
    ]  # a clip rate of 0 clips nothing


def test_it_is_shown_where_the_best_points_clip_and_at_which_rate() -> None:
    chart = joint_chart(points_frame(JOINT, ROWS))
    assert chart is not None
    (heat,) = marks_of(chart, Heat, panel=1)
    assert (list(heat.y), list(heat.x)) == (["1", "2", "3"], ["attn", "mlp"])
    assert heat.z == [[0, 1], [2 / 3, 0], [0, 0]]
    assert heat.labels == [["", "0.5"], ["0.9", ""], ["", ""]]
    assert heat.low == 0  # or a place that eight of ten clip would look like one that none does
    assert "best 3 points" in chart.caption


def test_a_kind_without_a_rate_shows_where_it_clips_and_no_rate() -> None:
    zero = [replace(point, clips=tuple(replace(clip, kind="zero") for clip in point.clips)) for point in JOINT[:3]]
    chart = joint_chart(points_frame(zero, ROWS))
    assert chart is not None
    (heat,) = marks_of(chart, Heat, panel=1)
    assert heat.z == [[0, 1], [0.5, 0]]
    assert heat.labels == [["", ""], ["", ""]]
    assert heat.texts is not None
    assert heat.texts[0][1] == "mlp of layer 1: clipped by 2 of 2"


def test_of_another_metric_no_point_is_called_chance() -> None:
    chart = joint_chart(points_frame([replace(point, metric="gold_logprob") for point in JOINT], ROWS))
    assert chart is not None
    assert [dots.name for dots in marks_of(chart, Dots)] == ["clipped"]
    assert "chance" not in chart.caption
    assert chart.panels[0].y.title == "gain in gold logprob, nats"


def test_stopped_points_are_circles_and_among_the_best_only_behind_those_that_saw_more_rows() -> None:
    rows = ROWS | stopped("three-0", (True, True, False))
    chart = joint_chart(points_frame(JOINT, rows))
    assert chart is not None
    assert [(dots.symbol, list(dots.x)) for dots in marks_of(chart, Dots)][:1] == [("circle-open", ["2"])]
    assert "stopped early" in chart.caption
    seen = points_frame(JOINT[1:], rows)[1:].assign(above=[0.1, 0.1, 0.9])
    assert best_of(seen).label.str.contains("0.9 and").tolist()[-1:] == [True]


def test_no_line_goes_through_one_number_alone() -> None:
    chart = joint_chart(points_frame(JOINT[:1] + JOINT[2:], ROWS))
    assert chart is not None
    assert marks_of(chart, Line) == []
    assert "The line" not in chart.caption


def test_the_best_are_a_tenth_of_the_points_but_no_fewer_than_ten() -> None:
    frame = points_frame(POINTS, answered()).assign(above=0.1)
    assert len(best_of(frame)) == 5
    assert len(best_of(frame.loc[[0] * 300])) == 30


def test_single_clips_make_no_figure() -> None:
    assert joint_chart(points_frame(POINTS, answered())) is None
