from datetime import timedelta

from clipsweep.analysis.drawing.chart import Dots, Line
from clipsweep.analysis.figures.scores.progress import progress_chart
from clipsweep.analysis.row.row import StoredRow
from clipsweep.trials.spec.result import TrialState
from tests.analysis.figures.frames import marks_of, points_frame, trials_frame
from tests.analysis.store.rows import NOON, stored_row
from tests.analysis.winners.points import make_point

POINTS = [make_point(None), make_point(0), make_point(1), make_point(2)]


def seen(trial_id: str, right: int, rows: int, minute: int) -> StoredRow:
    """A row that has seen so many of twenty rows; of a trial that waits for the rest."""
    state = TrialState.COMPLETE if rows == 20 else TrialState.PARTIAL
    outcomes = tuple(number < right for number in range(rows))
    return stored_row(trial_id, outcomes=outcomes, state=state, finished_at=NOON + timedelta(minutes=minute))


HISTORY = [
    seen("base-0", 10, 20, 0),
    seen("mlp-0-0.5-0", 4, 5, 1),
    seen("mlp-1-0.5-0", 1, 5, 2),
    seen("mlp-0-0.5-0", 8, 10, 3),
    seen("mlp-0-0.5-0", 15, 20, 4),
    seen("mlp-2-0.5-0", 12, 20, 5),
]


def test_the_best_so_far_is_shown_by_trials_rows_and_time() -> None:
    rows = {row.trial_id: row for row in HISTORY}
    chart = progress_chart(trials_frame(HISTORY), points_frame(POINTS, rows))
    assert chart is not None
    assert [panel.x.title for panel in chart.panels[:3]] == ["trials ended", "rows evaluated", "seconds of computing"]
    lines = [marks_of(chart, Line, panel)[0] for panel in range(3)]
    assert [list(line.y) for line in lines] == [[0.5, 0.75, 0.75]] * 3
    assert [list(line.x) for line in lines] == [[1, 3, 4], [20, 45, 65], [0.5, 1.5, 2.0]]


def test_how_far_each_trial_came_is_shown_where_some_were_stopped() -> None:
    chart = progress_chart(trials_frame(HISTORY), points_frame(POINTS, {row.trial_id: row for row in HISTORY}))
    assert chart is not None
    assert {dots.name: list(dots.y) for dots in marks_of(chart, Dots, 3)} == {
        "stopped early": [5],
        "complete": [20, 20, 20],
    }
    complete = [row for row in HISTORY if row.n_examples == 20]
    chart = progress_chart(trials_frame(complete), points_frame(POINTS, {row.trial_id: row for row in complete}))
    assert chart is not None
    assert len(chart.panels) == 3


def test_the_trials_of_two_studies_are_counted_apart() -> None:
    trials, points = trials_frame(HISTORY), points_frame(POINTS, {row.trial_id: row for row in HISTORY})
    both = [
        type(frame)([*frame.to_dict("records"), *frame.assign(study="other").to_dict("records")])
        for frame in (trials, points)
    ]
    chart = progress_chart(*both)
    assert chart is not None
    study = trials["study"].iloc[0]
    titles = [f"{name}: rows that each trial has seen" for name in (study, "other")]
    assert [panel.title for panel in chart.panels[3:]] == titles
    assert [list(dots.x) for dots in marks_of(chart, Dots, 4)] == [list(dots.x) for dots in marks_of(chart, Dots, 3)]


def test_no_complete_point_makes_no_figure() -> None:
    stopped = HISTORY[2]
    assert progress_chart(trials_frame([stopped]), points_frame(POINTS, {stopped.trial_id: stopped})) is None
