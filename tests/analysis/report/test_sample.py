from clipsweep.analysis.report.sample import sample_points
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.report.pages import made_up_points, made_up_rows

POINTS = made_up_points()
STANDINGS = Standings(POINTS, made_up_rows(POINTS).latest())


def test_a_study_that_fits_is_shown_whole_and_nothing_is_said() -> None:
    sample = sample_points(STANDINGS, [], most=len(POINTS))
    assert sample.standings is STANDINGS
    assert sample.words == ""


def test_of_a_large_study_so_many_are_drawn_and_it_is_said() -> None:
    sample = sample_points(STANDINGS, [POINTS[7]], most=73, drawn=20)
    shown = sample.standings.points
    assert 20 <= len(shown) <= 20 + 5
    assert f"show {len(shown)} of 74 points" in sample.words
    assert sample_points(STANDINGS, [POINTS[7]], most=73, drawn=20).standings.points == shown  # the same each time


def test_winners_baselines_and_what_is_asked_for_are_always_among_them() -> None:
    sample = sample_points(STANDINGS, [POINTS[7]], most=73, drawn=10)
    for point in (*STANDINGS.winning_points, POINTS[0], POINTS[7]):
        assert point in sample.standings.points
    assert STANDINGS.winner is not None
    assert sample.standings.winner is not None
    assert sample.standings.winner.point == STANDINGS.winner.point


def test_the_rows_of_a_sample_are_those_of_its_points_alone() -> None:
    sample = sample_points(STANDINGS, [], most=73, drawn=10)
    asked = {each for point in sample.standings.points for each in (*point.trial_ids, *point.test_ids)}
    assert set(sample.standings.rows) == asked
