"""The literature's methods on arms that are made up."""

import numpy as np
import pytest

from clipsweep.analysis.winners.smoothing import BANDWIDTH, smooth
from tests.benchmarks.best_arm import Arms, Method, hardness_of, sequential_halving, top_two_thompson, ucb_e

METHODS: dict[str, Method] = {
    "halving": lambda arms, budget, _: sequential_halving(arms, budget),
    "ucb": lambda arms, budget, _: ucb_e(arms, budget, hardness=100.0),
    "thompson": top_two_thompson,
}


def arms_with(*chances: float, rows: int = 400) -> Arms:
    """Arms that are right with these chances."""
    rng = np.random.default_rng(0)
    return Arms(rng.random((len(chances), rows)) < np.array(chances)[:, None], None, 0)


@pytest.mark.parametrize("method", METHODS)
def test_the_best_arm_is_found_for_no_more_rows_than_the_budget(method: str) -> None:
    arms = arms_with(0.5, 0.4, 0.9, 0.5, 0.3, 0.5, 0.6)
    assert METHODS[method](arms, 800, np.random.default_rng(0)) == 2
    assert 600 < arms.spent <= 800
    assert arms.counts[2] == arms.counts.max()


@pytest.mark.parametrize("method", METHODS)
def test_a_budget_of_all_rows_ends(method: str) -> None:
    arms = arms_with(0.5, 0.9, 0.5, rows=40)
    assert METHODS[method](arms, 120, np.random.default_rng(0)) == 1


def test_halving_spends_as_many_rows_in_each_round() -> None:
    arms = arms_with(0.1, 0.9, 0.2, 0.8)
    assert sequential_halving(arms, 64) == 1
    assert arms.counts.tolist() == [8, 8 + 16, 8, 8 + 16]


def test_hardness_is_the_sum_of_inverse_squared_gaps() -> None:
    assert hardness_of(np.array([0.7, 0.9, 0.8])) == pytest.approx(1 / 0.1**2 + 1 / 0.1**2 + 1 / 0.2**2)


def test_arms_see_the_same_rows_in_the_same_order() -> None:
    outcomes = np.arange(30)[None, :] % 3 == np.array([[0], [0]])
    arms = Arms(outcomes, None, 5)
    arms.pull(0, 7)
    arms.pull(1, 7)
    assert arms.means[0] == arms.means[1] == outcomes[0][np.random.default_rng(5).permutation(30)[:7]].mean()


def test_smoothed_rewards_go_by_the_margins_of_the_rows_seen() -> None:
    margins = np.random.default_rng(0).normal(0.3, 1.0, (1, 30))
    arms = Arms(margins > 0, margins, 5)
    arms.pull(0, 10)
    seen = margins[0][np.random.default_rng(5).permutation(30)[:10]]
    assert arms.means[0] == pytest.approx(smooth(seen, BANDWIDTH * seen.std()).mean())
