"""The racing driver over outcomes that are made up."""

import numpy as np

from clipsweep.orchestrator.drivers.fixed import FixedDriver
from tests.orchestrator.drivers.raced import N_ROWS, Learner, answer, drive, points, propose, raced, rates


def test_a_driver_that_learns_is_told_before_all_have_arrived() -> None:
    learner = Learner(points(16))
    outcomes = rates(0.5, *np.linspace(0.9, 0.2, 16))
    seen = drive(raced(learner), outcomes, calls=1)
    assert seen[0] == N_ROWS  # the best came first
    assert {proposal.choice for proposal, _ in learner.told} == {each.choice for each in points(16)}
    first = {proposal.choice: number for number, (proposal, _) in reversed(list(enumerate(learner.told)))}
    assert first[propose(5).choice] < first[propose(15).choice]


def test_the_seeds_of_a_point_race_as_one() -> None:
    outcomes = {(number, seed): [number != 1 or seed == 0] * N_ROWS for number in (None, 0, 1) for seed in (0, 1)}
    proposals = [propose(number, seed) for seed in (0, 1) for number in (None, 0, 1)]
    seen = drive(raced(FixedDriver(proposals), n_seeds=2), outcomes)
    assert seen == {None: N_ROWS, 0: N_ROWS, 1: 20}


def test_parts_that_share_prompts_follow_each_other_at_every_rung() -> None:
    proposals = [propose(number, seed) for seed in (0, 1) for number in range(8)]
    driver = raced(FixedDriver(proposals), n_seeds=2)
    for proposal in driver.ask(16):
        driver.tell(proposal, answer(proposal, [True] * N_ROWS))
    second = driver.ask(16)
    assert [(each.spec.demo_seed, each.spec.clips[0].layer) for each in second] == [
        (seed, number) for seed in (0, 1) for number in range(4)
    ]


def test_points_that_are_the_same_trial_run_once() -> None:
    driver = raced(FixedDriver(points(4)))
    outcomes, seen = rates(0.6, 0.6, 0.5, 0.4, 0.3), set()
    while not driver.done:
        for proposal in driver.ask(9):
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            row = answer(proposal, outcomes[number, 0], trial_id="untouched" if number in (None, 0) else None)
            seen.add((number, row.n_examples))
            driver.tell(proposal, row)
    assert max(rows for number, rows in seen if number == 0) == 20
    assert max(rows for number, rows in seen if number == 1) == N_ROWS


def test_a_failed_trial_leaves_the_race() -> None:
    driver = raced(FixedDriver(points(2)))
    outcomes = rates(0.5, 0.9, 0.6)
    finished = set()
    while not driver.done:
        for proposal in driver.ask(9):
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            row = answer(proposal, outcomes[number, 0], state="failed" if number == 0 else None)
            finished |= {number} if row.n_examples == N_ROWS else set()
            driver.tell(proposal, row)
    assert finished == {None, 1}


def test_a_row_with_fewer_rows_than_asked_for_is_asked_for_again() -> None:
    driver = raced(FixedDriver([propose(0)]), "test")
    [first] = driver.ask(1)
    driver.tell(first, answer(first, rates(0.5, 0.5)[0, 0]))
    [second] = driver.ask(1)
    assert (first.rows, second.rows) == (20, 40)
    driver.tell(second, answer(first, rates(0.5, 0.5)[0, 0]))
    assert driver.ask(1) == [second]
