"""Bets against a hypothesis: no stakes make their holder richer where it is true."""

from itertools import permutations, product

import numpy as np
import pytest

from clipsweep.orchestrator.drivers.race.betting import Numbers, bet, open_accounts

RUNGS = (2, 4, 6)
ERROR_RATE = 0.2


def held_after(differences: Numbers, rung: int, margin: float, rungs: tuple[int, ...] = RUNGS) -> Numbers:
    """What entries with these differences hold at the first rungs."""
    held = np.tile(open_accounts(rungs, ERROR_RATE), (len(differences), 1))
    for each in range(rung + 1):
        held = bet(held, differences[:, : rungs[each]], each, rungs, margin)
    return held


def test_an_entry_begins_with_the_error_rate_in_proportion_to_the_rows_between_looks() -> None:
    assert open_accounts((10, 20, 40, 80), 0.04) == pytest.approx([0.01, 0.01, 0.02])


def test_a_row_multiplies_what_is_held_by_one_less_the_stake_times_the_difference() -> None:
    # Of 0.2 the normal test's stake is 0.27996 / (0.2 · 0.5 · √2) = 1.98, so the most that a row may take is staked.
    assert held_after(np.array([[-1.0, -1.0]]), 0, 0.0, (2, 4)) == pytest.approx(np.array([[0.2 * 1.95**2]]))
    assert held_after(np.array([[1.0, 1.0]]), 0, 0.0, (2, 4)) == pytest.approx(np.array([[0.2 * 0.05**2]]))


def test_the_stake_is_that_of_a_normal_test_at_the_look() -> None:
    differences = np.zeros((1, 400))
    differences[0, 0] = -1
    [[after]] = held_after(differences, 0, 0.0, (400, 800))
    # 0.27996 / (0.2 · 0.5 · √400) = 0.13998 for the first row; no difference from what is expected changes nothing.
    assert after == pytest.approx(0.2 * 1.13998, rel=1e-4)


def test_what_a_look_leaves_goes_to_the_next() -> None:
    [held] = held_after(np.array([[1.0, -1.0]]), 0, 0.0)
    assert held[0] == 0
    # Once a row is 1 too high the others are 1/5 too low; either account then takes 0.8 · 0.95 / 1.2 of itself.
    assert held[1] == pytest.approx((0.1 + 0.1) * 0.05 * (1 + 0.8 * 0.95 / 1.2))


@pytest.mark.parametrize("margin", [0.0, 0.25])
def test_over_all_draws_that_fit_the_hypothesis_no_more_is_held_than_the_error_rate(margin: float) -> None:
    draws = np.array(list(product([-1.0, 1.0], repeat=4)))
    chances = np.prod(np.where(draws > 0, (1 + margin) / 2, (1 - margin) / 2), axis=1)
    for rung in (0, 1):
        assert chances @ held_after(draws, rung, margin).sum(axis=1) <= ERROR_RATE + 1e-12


@pytest.mark.parametrize("rows", [(-1, -1, 0, 0, 1, 1), (1, 1, 0.5, -1, -1, 1), (1, 0, 0, 0, 0, -1)])
def test_over_all_orders_of_rows_that_fit_the_hypothesis_no_more_is_held_than_the_error_rate(
    rows: tuple[float, ...],
) -> None:
    orders = np.array(list(permutations(rows)))[:, :4]
    for rung in (0, 1):
        assert held_after(orders, rung, float(np.mean(rows))).sum(axis=1).mean() <= ERROR_RATE + 1e-12


def test_who_holds_enough_bets_no_more() -> None:
    rich = np.array([[0.4, 0.7]])
    assert bet(rich, np.ones((1, 2)), 0, RUNGS, 0.0).sum() == pytest.approx(1.1)
