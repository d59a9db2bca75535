"""Rules that stop a search, over outcomes that are made up."""

from typing import Any

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.stopping import Earlier, StoppingDriver
from clipsweep.orchestrator.space.proposal import Proposal
from clipsweep.orchestrator.study.schema import SearchSection
from tests.orchestrator.drivers.raced import N_ROWS, Learner, answer, drive, points, propose, raced, rates


def stopping(driver: Driver, **rules: Any) -> StoppingDriver:
    return StoppingDriver(driver, SearchSection(**rules))


def test_no_point_begins_after_n_trials() -> None:
    driver = stopping(FixedDriver(points(9)), n_trials=3)
    assert set(drive(driver, rates(*[0.5] * 10))) == {None, 0, 1, 2}
    assert driver.reason == "search.n_trials: 3"


def test_all_seeds_of_the_points_that_have_begun_are_run() -> None:
    proposals = [propose(number, seed) for seed in (0, 1) for number in range(5)]
    driver = StoppingDriver(FixedDriver(proposals), SearchSection(n_trials=2), n_seeds=2)
    assert [(each.spec.clips[0].layer, each.spec.demo_seed) for each in driver.ask(99)] == [
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 1),
    ]


def test_a_driver_that_learns_is_asked_for_all_seeds_of_its_last_point() -> None:
    proposals = [propose(number, seed) for number in (None, 0, 1, 2) for seed in (0, 1)]
    driver = StoppingDriver(Learner(proposals), SearchSection(n_trials=2), n_seeds=2)
    outcomes = {(number, seed): [True] * N_ROWS for number in (None, 0, 1, 2) for seed in (0, 1)}
    asked: list[Proposal] = []
    while not driver.done:
        for proposal in driver.ask(1):
            asked.append(proposal)
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            driver.tell(proposal, answer(proposal, outcomes[number, proposal.spec.demo_seed]))
    assert asked == proposals[:6]


def test_patience_is_counted_from_the_last_improvement() -> None:
    driver = stopping(FixedDriver(points(30)), patience=3)
    outcomes = rates(0.5, 0.4, 0.6, 0.55, 0.3, *[0.59] * 26)
    assert set(drive(driver, outcomes, calls=1)) == {None, 0, 1, 2, 3, 4}
    assert driver.reason == "search.patience: 3"


def test_patience_counts_a_point_once_however_often_a_race_tells_it_and_the_untouched_model_never() -> None:
    driver = stopping(FixedDriver(points(9)), patience=2)
    [untouched, first] = driver.ask(2)
    driver.tell(first, answer(first, [True] * N_ROWS))
    for _ in range(3):
        driver.tell(untouched, answer(untouched, [False] * N_ROWS))
        driver.tell(propose(7), answer(propose(7), [False] * N_ROWS))
    assert driver.reason is None
    driver.tell(propose(8), answer(propose(8), [False] * N_ROWS))
    assert driver.reason == "search.patience: 2"


def test_hours_of_stored_rows_count_towards_gpu_hours() -> None:
    rows = {"old": StoredRow.of({"seconds": 3500.0})}
    driver = StoppingDriver(FixedDriver(points(30)), SearchSection(max_gpu_hours=1), earlier=Earlier(rows=rows))
    assert set(drive(driver, rates(*[0.5] * 31), calls=1)) == {None, 0, 1}  # 36 s each
    assert driver.reason == "search.max_gpu_hours: 1"


def test_the_clock_stops_a_search() -> None:
    driver = stopping(FixedDriver(points(30)), max_hours=1e-9)
    assert list(drive(driver, rates(*[0.5] * 31))) == [None]


def test_a_race_goes_on_to_its_end_after_the_last_point() -> None:
    driver = raced(stopping(FixedDriver(points(30)), n_trials=8))
    seen = drive(driver, rates(*[0.5] * 31))
    assert len(seen) == 9
    assert [rows for point, rows in seen.items() if point is not None].count(N_ROWS) == 1
