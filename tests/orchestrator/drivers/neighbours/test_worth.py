"""What another look at a point is worth."""

from collections.abc import Sequence

import numpy as np
import pytest

from clipsweep.orchestrator.drivers.neighbours.posterior import Beliefs
from clipsweep.orchestrator.drivers.neighbours.worth import left_to_gain, worth_per_cost

RUNGS = (32, 64, 128)
UNIT = (1.0, 1.0, 1.0)


def beliefs(means: list[float], deviations: list[float]) -> Beliefs:
    return Beliefs(means=np.array(means), deviations=np.array(deviations), spreads=np.full(len(means), 0.2))


def worth(means: list[float], deviations: list[float], seen: list[int], costs: Sequence[float] = UNIT) -> list[float]:
    found = worth_per_cost(beliefs(means, deviations), np.array(seen, float), np.array(costs), RUNGS)
    return [float(each) for each in found]


def test_nothing_is_left_to_see_of_a_complete_point() -> None:
    assert worth([0.1, 0.0, 0.0], [0.0, 0.1, 0.1], [128, 32, 0])[0] == -np.inf


def test_of_equal_doubt_the_point_nearest_to_the_best_is_worth_most() -> None:
    _, near, far = worth([0.05, 0.04, -0.05], [0.1, 0.1, 0.1], [128, 32, 32])
    assert near > far


def test_of_equal_promise_the_doubtful_and_the_cheap_one_are_worth_more() -> None:
    _, sure, unsure = worth([0.05, 0.02, 0.02], [0.0, 0.05, 0.2], [128, 32, 32])
    assert unsure > sure
    _, dear, cheap = worth([0.05, 0.02, 0.02], [0.0, 0.1, 0.1], [128, 32, 32], [1.0, 1.0, 0.1])
    assert cheap == pytest.approx(dear + np.log(10))


def test_what_is_left_to_gain_shrinks_with_what_is_known() -> None:
    little = left_to_gain(beliefs([0.05, -0.05, -0.1], [0.0, 0.05, 0.05]), np.array([128.0, 64.0, 32.0]), 128)
    much = left_to_gain(beliefs([0.05, 0.04, 0.03], [0.0, 0.5, 0.5]), np.array([128.0, 0.0, 0.0]), 128)
    assert little < 0.01 * 0.05 < much
    assert left_to_gain(beliefs([0.05, 0.0, 0.0], [0.0, 0.0, 0.0]), np.full(3, 128.0), 128) == 0
