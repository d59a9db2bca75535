"""What is left of a study, from what began and what ended."""

import pytest

from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.progress.left import Field, ListedLeft, RacedLeft, SampledLeft

NOTHING = Amount()
RUNGS = (10, 20, 40, 80)


def rows(count: int) -> Amount:
    return Amount(trials=1, rows=count, work=0.5 * count)


def race(trials: int | None = 16, *, halves: bool, finishers: int = 0) -> RacedLeft:
    field = Field(rungs=RUNGS, trials=trials, baselines=0, finishers=finishers, halves=halves)
    entered = trials or 0
    return RacedLeft(field, [], Amount(trials=entered, rows=10 * entered, work=5.0 * entered), NOTHING)


def test_of_a_grid_what_ended_is_taken_off_and_tests_are_waited_for_from_the_beginning() -> None:
    left = ListedLeft(Amount(trials=3, rows=30, work=9.0), Amount(trials=1, rows=100, work=50.0))
    left.end(None, Amount(trials=1, rows=10, work=1.0))
    assert left.amount() == Amount(trials=3, rows=120, work=58.0)


def test_once_the_search_is_over_the_tests_that_really_run_are_left() -> None:
    left = ListedLeft(Amount(trials=3, rows=30, work=9.0), Amount(trials=9, rows=900, work=90.0))
    left.begin_tests(Amount(trials=2, rows=200, work=20.0))
    left.end(None, Amount(trials=1, rows=100, work=15.0))
    assert left.amount() == Amount(trials=1, rows=100, work=5.0)


def test_a_search_expects_the_trials_to_come_to_cost_what_those_so_far_did() -> None:
    left = SampledLeft(Amount(trials=1000, rows=10_000, work=1000.0), NOTHING, counted=True)
    for _ in range(500):
        left.end(None, Amount(trials=1, rows=10, work=4.0))
    amount = left.amount()
    assert amount is not None
    assert (amount.trials, amount.rows) == (500, 5000)
    assert amount.work == pytest.approx(2000, rel=0.02)


def test_of_a_search_without_a_number_of_trials_nothing_is_told() -> None:
    assert SampledLeft(Amount(trials=1, rows=10, work=1.0), NOTHING, counted=False).amount() is None
    assert race(None, halves=True).amount() is None


def test_a_race_that_halves_counts_the_rows_of_those_that_will_go_on() -> None:
    amount = race(halves=True).amount()
    assert amount is not None
    assert amount.rows == 16 * 10 + 8 * 10 + 4 * 20 + 2 * 40
    assert amount.work == 0.5 * amount.rows


def test_a_race_runs_somebody_to_the_end_wherever_a_winner_is_looked_for() -> None:
    amount = race(halves=True, finishers=6).amount()
    assert amount is not None
    assert amount.rows == 16 * 10 + 8 * 10 + 6 * 20 + 6 * 40


def test_where_a_test_decides_all_may_go_on_until_some_were_stopped() -> None:
    left = race(halves=False)
    first, was_bound = left.amount(), left.is_bound
    assert first is not None
    assert (first.rows, was_bound) == (16 * 80, True)
    for _ in range(12):  # none of these is begun again
        left.end((0, 10), rows(10))
    later = left.amount()
    assert later is not None
    assert not left.is_bound
    assert later.rows < (16 * 80 - 12 * 10) / 2


def test_parts_that_run_are_taken_off_their_rung() -> None:
    left = race(4, halves=True)
    for _ in range(4):
        left.end((0, 10), rows(10))
    left.begin((10, 20), rows(10))
    left.end((10, 20), rows(10))
    amount = left.amount()
    assert amount is not None
    assert amount.rows == 1 * 10 + 1 * 20 + round(0.5) * 40
