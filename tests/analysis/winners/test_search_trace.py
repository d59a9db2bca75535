from datetime import timedelta

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.search_trace import trace_search
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import NOON, changed, failed_row, stored_row
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


def test_rows_that_a_trial_goes_on_with_count_once() -> None:
    steps, _ = trace_search(HISTORY, POINTS)
    assert [step.rows_evaluated for step in steps] == [20, 25, 30, 35, 45, 65]
    assert [step.trials for step in steps] == [1, 2, 3, 3, 3, 4]


def test_only_complete_trials_are_the_best_so_far() -> None:
    steps, _ = trace_search(HISTORY, POINTS)
    assert [step.best for step in steps] == [0.5, 0.5, 0.5, 0.5, 0.75, 0.75]


def test_it_is_told_how_far_each_trial_came() -> None:
    _, trials = trace_search(HISTORY, POINTS)
    found = [(each.number, each.row.n_examples, each.stopped) for each in trials]
    assert found == [(1, 20, False), (2, 20, False), (3, 5, True), (4, 20, False)]


def test_failed_trials_and_those_of_other_studies_are_left_out() -> None:
    others = [failed_row(trial_id="mlp-0-0.5-0"), seen("another", 20, 20, 0)]
    assert trace_search(others, POINTS) == ([], [])


def test_that_the_race_stopped_a_trial_is_no_step_of_its_own() -> None:
    waiting = HISTORY[2]
    ended = [*HISTORY, changed(waiting, state=TrialState.PRUNED.value, attempt=2)]
    assert trace_search(ended, POINTS)[0] == trace_search(HISTORY, POINTS)[0]
    assert [each.row.state for each in trace_search(ended, POINTS)[1]][2] is TrialState.PRUNED
