from dataclasses import replace

from clipsweep.analysis.drawing.chart import Dots, Line
from clipsweep.analysis.figures.scores.front import front_chart, front_of
from tests.analysis.figures.frames import marks_of, points_frame
from tests.analysis.figures.scores.test_curves import POINTS, answered
from tests.analysis.store.rows import changed

KEPT = {"base-0": 10, "mlp-0-0.5-0": 8, "mlp-0-0.9-0": 6, "mlp-5-0.5-0": 8, "mlp-5-0.9-0": 6}


def test_the_front_has_the_points_that_no_other_beats() -> None:
    rows = {name: changed(row, parameters_kept=KEPT[name]) for name, row in answered().items()}
    frame = points_frame(POINTS, rows)
    assert front_of(frame).label.tolist() == ["mlp of layer 5 at clip rate 0.9, 4 shots"]
    chart = front_chart(frame)
    assert chart is not None
    chance, clear, star = marks_of(chart, Dots)
    assert [len(dots.x) for dots in (chance, clear)] == [2, 2]
    assert (list(star.x), star.symbol) == ([0.6], "star")
    assert marks_of(chart, Line) == []  # the star is all of the front
    assert "Front" not in chart.caption


def test_the_front_is_a_line_of_steps_through_two_points_or_more() -> None:
    kept = KEPT | {"mlp-5-0.9-0": 7}
    rows = {name: changed(row, parameters_kept=kept[name]) for name, row in answered().items()}
    chart = front_chart(points_frame(POINTS, rows))
    assert chart is not None
    (front,) = marks_of(chart, Line)
    assert (list(front.x), [round(float(y or 0), 3) for y in front.y]) == ([0.6, 0.7], [-30, 30])
    assert "Front: the best" in chart.caption


def test_the_star_is_the_winner_also_where_another_scores_as_much_with_fewer_parameters() -> None:
    rows = {name: changed(row, parameters_kept=KEPT[name]) for name, row in answered().items()}
    rows["mlp-0-0.5-0"] = changed(rows["mlp-5-0.9-0"], trial_id="mlp-0-0.5-0", parameters_kept=8)
    chart = front_chart(points_frame(POINTS, rows))
    assert chart is not None
    front, star = marks_of(chart, Dots)[-2:]
    assert list(star.x) == [0.8]  # the first of the study that scores most
    assert (front.name, list(front.x)) == ("front", [0.6])
    assert "Front: the best" in chart.caption


def test_of_another_metric_no_point_is_called_chance() -> None:
    rows = {name: changed(row, parameters_kept=KEPT[name], macro_f1=row.outcomes.mean())
            for name, row in answered().items()}  # fmt: skip
    chart = front_chart(points_frame([replace(point, metric="macro_f1") for point in POINTS], rows))
    assert chart is not None
    dots, _ = marks_of(chart, Dots)
    assert (dots.name, len(dots.x)) == ("clipped", 4)
    assert "chance" not in chart.caption


def test_points_that_all_keep_as_many_parameters_make_no_figure() -> None:
    assert front_chart(points_frame(POINTS, answered())) is None
