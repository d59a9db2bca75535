"""The sequential test as a rule, and in a race."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.race.entry import Entry
from clipsweep.orchestrator.drivers.race.sequential_test import SequentialTest
from clipsweep.trials.spec.ladder import make_rungs
from tests.orchestrator.drivers.raced import N_ROWS, drive, points, raced, rates


def stops(race: SequentialTest, mean: float, rng: np.random.Generator) -> bool:
    """Whether an entry that is better by ``mean`` is stopped by the untouched model at any rung of 2,000 rows."""
    right = rng.random(2000) < 0.8
    better = np.where(rng.random(2000) < 0.2, rng.random(2000) < 0.8 + 5 * mean, right)
    reference, entry = (Entry(number=number, shots=0, untouched=not number) for number in (0, 1))
    for rows in make_rungs(2000)[:-1]:
        for each, outcomes in ((reference, right), (entry, better)):
            each.reach(outcomes[:rows].astype(float), float(outcomes[:rows].mean()))
            race.finished(each) if each is reference else race.arrived(each)
        if not race.going_on(last_call=False):
            return True
    return False


def test_an_entry_that_is_better_by_the_margin_is_stopped_less_often_than_the_error_rate() -> None:
    rng = np.random.default_rng(0)
    stopped = [stops(SequentialTest(indifference=0.01, error_rate=0.2, limit=2), 0.01, rng) for _ in range(400)]
    assert np.mean(stopped) <= 0.2


def test_an_entry_that_is_worse_is_stopped() -> None:
    rng = np.random.default_rng(0)
    stopped = [stops(SequentialTest(indifference=0.01, error_rate=0.2, limit=2), -0.03, rng) for _ in range(50)]
    assert np.mean(stopped) >= 0.8


@given(st.integers(2, 40))
def test_without_a_limit_an_entry_s_shares_of_the_error_rate_add_up_to_no_more_than_all(count: int) -> None:
    race = SequentialTest(indifference=0.0, error_rate=1.0, limit=None)
    entries = [Entry(number=number, shots=0) for number in range(count)]
    for entry in entries:
        shares = (race._shares(entry, other) for other in entries if other is not entry)
        assert sum(1 / share for share in shares) <= 1


def test_the_test_stops_what_collapses_and_keeps_what_is_close() -> None:
    outcomes = rates(0.8, 0.8, 0.79, 0.3)
    seen = drive(raced(FixedDriver(points(3)), "test", limit=4), outcomes)
    assert seen[None] == seen[0] == seen[1] == N_ROWS
    assert seen[2] <= 80
