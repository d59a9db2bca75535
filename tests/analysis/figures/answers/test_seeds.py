from clipsweep.analysis.drawing.chart import Line
from clipsweep.analysis.figures.answers.seeds import seeds_chart
from tests.analysis.figures.frames import marks_of, points_frame, trials_frame
from tests.analysis.store.rows import changed
from tests.analysis.winners.points import BASE, GOOD, make_point, rows_of


def test_each_point_has_a_line_through_its_scores_by_seed() -> None:
    points = [make_point(None, seeds=3), make_point(1, seeds=3)]
    found = rows_of(base=[5, 7, 6], mlp_1_0__5=[8, 8, 9])
    rows = {key: changed(row, demo_seed=int(key[-1]) * 10) for key, row in found.items()}
    chart = seeds_chart(trials_frame(rows.values()), points_frame(points, rows))
    assert chart is not None
    assert chart.panels[0].x.categories == ("0", "10", "20")
    untouched, winner = marks_of(chart, Line)
    assert (untouched.name, list(untouched.y), untouched.dashed) == ("untouched", [0.5, 0.7, 0.6], True)
    assert (winner.name, list(winner.x), list(winner.y)) == (
        "mlp 1 at 0.5 (winner)",
        ["0", "10", "20"],
        [0.8, 0.8, 0.9],
    )


def test_nothing_is_drawn_of_one_seed() -> None:
    rows = rows_of(base=[5], mlp_1_0__5=[8])
    assert seeds_chart(trials_frame(rows.values()), points_frame([BASE, GOOD], rows)) is None
