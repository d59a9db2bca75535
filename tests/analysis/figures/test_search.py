from clipsweep.analysis.figures.search import search_panels
from tests.analysis.winners.test_search_trace import HISTORY, POINTS


def test_stops_are_drawn_where_there_are_some() -> None:
    assert [title for title, _ in search_panels(HISTORY, POINTS)][2:] == ["Rows that each trial has seen"]
    assert len(search_panels([row for row in HISTORY if row.n_examples == 20], POINTS)) == 2
    assert search_panels([], POINTS) == []


def test_the_curve_of_a_race_is_drawn_over_rows() -> None:
    (_, by_trials), (_, by_rows), (_, stops) = search_panels(HISTORY, POINTS)
    assert list(by_rows.data[0].x)[-1] == 65
    assert list(by_trials.data[0].x)[-1] == 4
    assert {trace.name: list(trace.y) for trace in stops.data} == {"stopped": [5], "complete": [20, 20, 20]}
