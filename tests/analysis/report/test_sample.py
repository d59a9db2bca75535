from dataclasses import replace

from clipsweep.analysis.report.charts import study_charts
from clipsweep.analysis.report.facts import ReportFacts
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


def test_trials_are_counted_whatever_seeds_a_point_has() -> None:
    """Without demonstrations all seeds are one trial, with them each is one: 4 points of one trial, 70 of three."""
    points = [
        replace(point, trial_ids=(*point.trial_ids, *(f"{point.trial_ids[0]}{seed}" for seed in (1, 2))))
        if number >= 4
        else point
        for number, point in enumerate(POINTS)
    ]
    standings = Standings(points, STANDINGS.rows)
    assert sample_points(standings, [], most=214).is_whole
    sample = sample_points(standings, [], most=213, drawn=30)
    assert not sample.is_whole
    assert len(sample.standings.points) <= 30 // 2 + 5


def test_how_the_search_went_is_drawn_of_all_trials_or_not_at_all() -> None:
    facts = ReportFacts(study="s", facts={})
    whole, drawn = (
        {chart.name for chart in study_charts(facts, sample_points(STANDINGS, [], most=most, drawn=60))}
        for most in (74, 73)
    )
    assert "atlas" in drawn
    assert whole - drawn == {"search"}
