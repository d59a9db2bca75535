"""What is believed of points, seen or not."""

import random

import numpy as np
import pytest

from clipsweep.orchestrator.drivers.neighbours.likeness import Likeness
from clipsweep.orchestrator.drivers.neighbours.posterior import Beliefs, Posterior
from clipsweep.orchestrator.drivers.neighbours.readings import read
from clipsweep.trials.spec.clip import Clip

RUNGS = (32, 64, 128, 256)
POINTS = [(Clip(layer=layer, module="mlp", clip_rate=rate),) for layer in range(8) for rate in (0.75, 0.9, 0.99)]


def believe(
    seen: list[int], effect_of: list[float], rows: int, seed: int = 0, predicted: list[float] | None = None
) -> Beliefs:
    """Beliefs after so many points have been seen on the first rows, each with its own effect in spreads."""
    rng = np.random.default_rng(seed)
    untouched = rng.random(256)
    differences = [0.2 * (effect_of[number] + rng.standard_normal(256)) for number in seen]
    values = [[(untouched + each)[:rung] for rung in RUNGS if rung <= rows] for each in differences]
    readings = read(values, [untouched[:rung] for rung in RUNGS if rung <= rows], RUNGS)
    posterior, likeness = Posterior(random.Random(seed)), Likeness(POINTS)
    gains = np.array(predicted or [0.0] * len(POINTS))
    posterior.learn(likeness, gains, np.array(seen), readings)
    return posterior.believe(likeness, gains, np.array(seen), readings)


def test_a_point_is_expected_to_do_as_its_neighbours() -> None:
    effects = [0.5 if layer < 4 else -0.5 for layer in range(8) for _ in range(3)]
    beliefs = believe([number for number in range(24) if number not in (4, 19)], effects, 128)
    assert beliefs.means[4] > 0.03
    assert beliefs.means[19] < -0.03


def test_less_is_known_of_what_was_not_seen() -> None:
    beliefs = believe(list(range(0, 24, 2)), [0.2] * 24, 128)
    assert beliefs.deviations[1::2].min() > beliefs.deviations[0::2].max()


@pytest.mark.parametrize("seed", range(3))
def test_a_point_that_saw_all_rows_is_believed_whatever_its_neighbours_did(seed: int) -> None:
    effects = [0.6 if number == 10 else -0.3 for number in range(24)]
    beliefs = believe(list(range(24)), effects, 256, seed)
    assert int(beliefs.means.argmax()) == 10
    assert beliefs.deviations[10] < 0.02


ODD = [0.6 if number % 5 == 0 else -0.6 for number in range(24)]  # in spreads of 0.2: what no neighbour tells


def test_a_prediction_that_holds_for_the_points_seen_is_believed_of_the_others() -> None:
    beliefs = believe([each for each in range(24) if each not in (10, 11)], ODD, 128, predicted=[0.2 * e for e in ODD])
    assert beliefs.means[10] > 0.08
    assert beliefs.means[11] < -0.08


def test_a_prediction_that_misleads_is_found_out() -> None:
    seen = [each for each in range(24) if each not in (10, 11)]
    misled = believe(seen, ODD, 128, predicted=[-0.2 * effect for effect in ODD])
    assert misled.means[10] == pytest.approx(believe(seen, ODD, 128).means[10], abs=0.05)
    assert int(misled.means[seen].argmax()) in [seen.index(each) for each in range(0, 24, 5) if each in seen]
