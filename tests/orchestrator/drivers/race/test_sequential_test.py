"""The sequential test as a rule, and in a race."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.race.entry import Entry
from clipsweep.orchestrator.drivers.race.sequential_test import SequentialTest
from clipsweep.trials.spec.ladder import make_rungs
from tests.orchestrator.drivers.raced import N_ROWS, Learner, drive, points, raced, rates

ROWS, MARGIN, ERROR_RATE = 200, 0.05, 0.2  # rungs 16, 32, 64, 128, 200
RUNGS = make_rungs(ROWS)
Outcomes = NDArray[np.float64]


def a_race(*, waits: bool = True, margin: float = MARGIN) -> SequentialTest:
    return SequentialTest(indifference=margin, error_rate=ERROR_RATE, rungs=RUNGS, waits=waits)


def reach(entry: Entry, outcomes: Outcomes, rung: int = 0) -> Entry:
    """An entry after its next rungs, to this one."""
    for rows in RUNGS[entry.rung + 1 : rung + 1]:
        entry.reach(outcomes[:rows], float(outcomes[:rows].mean()))
    return entry


def run(race: SequentialTest, outcomes: Outcomes, order: Iterable[int] | None = None) -> list[int]:
    """Rungs that entries reach, the untouched model first, where those of a rung arrive in this order."""
    entries = [Entry(number=number, shots=0, untouched=not number) for number in range(len(outcomes))]
    race.arrived(reach(entries[0], outcomes[0]))
    reach(entries[0], outcomes[0], len(RUNGS) - 1)
    going_on = [entries[number] for number in order or range(len(outcomes)) if number]
    while going_on:
        for entry in going_on:
            reach(entry, outcomes[entry.number], entry.rung + 1)
            race.finished(entry) if entry.rung + 1 == len(RUNGS) else race.arrived(entry)
        going_on = race.going_on(last_call=True)
    return [entry.rung for entry in entries]


def draw(rng: np.random.Generator, better: float, count: int = 10) -> Outcomes:
    """Outcomes of points that change four answers in ten to no effect, the last of which is better by so much."""
    chances = np.full((count, 1), 0.6)
    chances[-1] += better / 0.4
    untouched = rng.random(ROWS) < 0.6
    changed = rng.random((count, ROWS)) < 0.4
    return np.where(changed, rng.random((count, ROWS)) < chances, untouched).astype(float)


def test_an_entry_that_is_better_by_the_margin_is_stopped_less_often_than_the_error_rate() -> None:
    rng = np.random.default_rng(0)
    stopped = sum(run(a_race(), draw(rng, MARGIN))[-1] < len(RUNGS) - 1 for _ in range(100))
    assert stopped > 0
    assert binomtest(stopped, 100, ERROR_RATE, alternative="greater").pvalue > 0.05


def test_an_entry_that_is_worse_is_stopped() -> None:
    rng = np.random.default_rng(0)
    stopped = [run(a_race(margin=0.0), draw(rng, -0.2))[-1] < len(RUNGS) - 1 for _ in range(20)]
    assert np.mean(stopped) >= 0.8


def test_the_order_in_which_entries_reach_a_rung_does_not_matter() -> None:
    outcomes = draw(np.random.default_rng(1), 0.1)
    outcomes[3:6, ::3] = 0  # so that some are stopped early
    forwards, backwards = run(a_race(), outcomes), run(a_race(), outcomes, range(len(outcomes))[::-1])
    assert forwards == backwards
    assert 0 < forwards.count(len(RUNGS) - 1) < len(outcomes)


def test_references_of_rows_are_chosen_by_the_rows_before_them() -> None:
    rng = np.random.default_rng(2)
    outcomes = (rng.random((30, ROWS)) < 0.5).astype(float)
    outcomes[1:9, : RUNGS[0]] = 1  # the best at the first rung, the worst from there to the second
    outcomes[1:9, RUNGS[0] : RUNGS[1]] = 0
    outcomes[9, RUNGS[0] : RUNGS[1]] = 0
    race, entries = a_race(margin=0.0), [Entry(number=number, shots=0) for number in range(1, 30)]
    for rung in (0, 1):
        for entry in entries:
            race.arrived(reach(entry, outcomes[entry.number], rung))
        going_on = race.going_on(last_call=True)
    held = {entry.number: race._accounts[entry].sum() for entry in going_on}
    assert held[9] == pytest.approx(ERROR_RATE)  # it is no worse on these rows than they are
    assert max(held[number] for number in range(10, 30)) < ERROR_RATE


def test_nobody_is_stopped_before_all_of_the_rung_have_come() -> None:
    race, nothing = a_race(), np.zeros(ROWS)
    race.arrived(reach(Entry(number=0, shots=0, untouched=True), 1 - nothing))
    race.arrived(reach(Entry(number=1, shots=0), nothing))
    assert race.going_on(last_call=False) == []


def test_where_the_driver_learns_only_the_untouched_model_stops_an_entry() -> None:
    race, nothing, half = a_race(waits=False), np.zeros(ROWS), np.tile([0.0, 1.0], ROWS // 2)
    good, bad = (Entry(number=number, shots=0) for number in (1, 2))
    race.arrived(reach(good, 1 - nothing, 2))
    race.arrived(reach(bad, nothing, 2))
    assert race.going_on(last_call=False) == [good, bad]
    untouched = reach(Entry(number=0, shots=0, untouched=True), half)
    race.arrived(untouched)
    reach(untouched, half, 3)
    race.arrived(reach(good, 1 - nothing, 3))
    race.arrived(reach(bad, nothing, 3))
    assert race.going_on(last_call=False) == [good]


@pytest.mark.parametrize("learns", [False, True])
def test_where_all_are_stopped_the_best_of_those_that_came_furthest_sees_all_rows(learns: bool) -> None:
    driver = Learner(points(4)) if learns else FixedDriver(points(4))
    seen = drive(raced(driver, "test"), rates(0.95, 0.1, 0.5, 0.05, 0.02))
    assert [point for point, rows in seen.items() if rows == N_ROWS] == [None, 1]


@pytest.mark.parametrize("learns", [False, True])
def test_the_test_stops_what_collapses_and_keeps_what_is_close(learns: bool) -> None:
    driver = Learner(points(3)) if learns else FixedDriver(points(3))
    seen = drive(raced(driver, "test"), rates(0.8, 0.82, 0.81, 0.3))
    assert seen[None] == seen[0] == seen[1] == N_ROWS
    assert seen[2] <= 80
