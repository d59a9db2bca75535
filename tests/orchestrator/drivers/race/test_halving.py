"""Halving, driven over outcomes that are made up."""

from dataclasses import replace

import numpy as np
import pytest

from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.race.halving import halving_rows, halving_share
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.ladder import make_rungs
from tests.orchestrator.drivers.raced import N_ROWS, Learner, answer, drive, points, propose, raced, rates


@pytest.mark.parametrize("calls", [1, 5, 40])
def test_halving_lets_half_of_each_rung_go_on(calls: int) -> None:
    outcomes = rates(0.5, *np.linspace(0.2, 0.9, 16))
    seen = drive(raced(FixedDriver(points(16))), outcomes, calls)
    assert seen[None] == N_ROWS
    counts = sorted(rows for point, rows in seen.items() if point is not None)
    assert counts == [20] * 8 + [40] * 4 + [80] * 2 + [160] + [640]
    assert seen[15] == N_ROWS


def test_halving_costs_an_eighth_of_the_rows() -> None:
    seen = drive(raced(FixedDriver(points(100))), rates(0.5, *np.linspace(0.2, 0.9, 100)))
    assert sum(seen.values()) / (101 * N_ROWS) < 0.14


def test_those_that_are_right_by_the_larger_margins_go_on() -> None:
    driver, right = raced(FixedDriver(points(4))), [True, True, False, True]
    margins = {None: 0.5, 0: 0.3, 1: 0.4, 2: 0.9, 3: 0.5}  # of right answers; wrong ones are behind by 1
    seen: dict[int | None, int] = {}
    while not driver.done:
        for proposal in driver.ask(9):
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            ahead = [margins[number] if each else -1.0 for each in right] * (N_ROWS // 4)
            row = answer(proposal, right * (N_ROWS // 4), margins=ahead[: proposal.rows])
            seen[number] = row.n_examples
            driver.tell(proposal, row)
    assert [seen[number] for number in (0, 1, 2, 3)] == [20, 20, N_ROWS, 40]


@pytest.mark.parametrize("n_rows", [100, 640, 8000])
def test_what_halving_will_leave_of_the_rows_is_known_beforehand(n_rows: int) -> None:
    count = 2 ** len(make_rungs(n_rows))
    driver = raced(FixedDriver(points(count)[1:]), n_rows=n_rows)
    seen = drive(driver, rates(0.5, *np.linspace(0.2, 0.9, count), n_rows=n_rows), calls=count)
    assert sum(seen.values()) / (count * n_rows) == pytest.approx(halving_share(n_rows), abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_someone_always_finishes(count: int) -> None:
    for driver in (FixedDriver(points(count)), Learner(points(count))):
        seen = drive(raced(driver), rates(0.5, *[0.6] * count))
        assert max(rows for point, rows in seen.items() if point is not None) == N_ROWS


def test_points_race_those_of_the_same_shots() -> None:
    proposals = [propose(number, shots=shots) for shots in (0, 4) for number in (None, 0, 1)]
    outcomes = {**rates(0.5, 0.9, 0.8)}
    driver, whole = raced(FixedDriver(proposals)), set()
    while not driver.done:
        for proposal in driver.ask(3):
            row = answer(proposal, outcomes[proposal.spec.clips[0].layer if proposal.spec.clips else None, 0])
            whole |= {proposal.choice} if row.n_examples == N_ROWS else set()
            driver.tell(proposal, row)
    assert whole == {propose(number, shots=shots).choice for number in (None, 0) for shots in (0, 4)}


@pytest.mark.parametrize("learns", [False, True])
def test_of_each_module_one_finishes_where_the_points_are_not_chosen_by_results(learns: bool) -> None:
    clips = [Clip(layer=layer, module=module, clip_rate=0.5) for layer in range(8) for module in ("mlp", "attn")]
    proposals = [replace(propose(0), spec=replace(propose(0).spec, clips=(clip,))) for clip in clips]
    chances = {clip: 0.5 + 0.05 * clip.layer - 0.4 * (clip.module == "attn") for clip in clips}
    driver = raced(Learner(proposals) if learns else FixedDriver(proposals))
    shared, finished = np.random.default_rng(0).random(N_ROWS), set()
    while not driver.done:
        for proposal in driver.ask(16):
            [clip] = proposal.spec.clips
            row = answer(proposal, (shared < chances[clip]).tolist())
            finished |= {clip} if row.n_examples == N_ROWS else set()
            driver.tell(proposal, row)
    assert {clip.module for clip in finished} == ({"mlp"} if learns else {"mlp", "attn"})
    assert learns or [clip.layer for clip in finished if clip.module == "attn"] == [7]


def test_the_rows_of_halving_are_counted_entry_by_entry() -> None:
    assert halving_rows(N_ROWS, 1) == N_ROWS
    assert halving_rows(N_ROWS, 6) == 6 * 20 + 3 * 20 + 40 + 80 + 160 + 320
