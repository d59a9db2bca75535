"""From changed margins to a gain with its standard error."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsweep.analysis.screens.prediction import average, mean_with_error, predict
from clipsweep.analysis.screens.screens import Screens
from clipsweep.trials.spec.trial import PromptSet
from tests.analysis.screens.made_up import clip, screened


def changes(seed: int, scale: float = 1.0, rows: int = 60) -> NDArray[np.float64]:
    return scale * np.random.default_rng(seed).normal(size=rows)


def test_no_change_gains_nothing() -> None:
    predicted = predict(screened({}), [np.zeros(60)])
    assert (predicted.gain, predicted.margin_change) == (0.0, 0.0)


def test_margins_that_rise_gain_and_those_that_fall_lose() -> None:
    up, down = (predict(screened({}), [np.full(60, step)]) for step in (0.5, -0.5))
    assert down.gain < 0 < up.gain
    assert up.margin_change == pytest.approx(0.5)
    assert up.margin_error == pytest.approx(0.0)


def test_a_change_as_large_as_its_noise_is_trusted_less_than_a_small_one() -> None:
    steady = predict(screened({}), [np.full(60, 0.3)])
    noisy = predict(screened({}), [0.3 + changes(1, 5.0) - changes(1, 5.0).mean()])
    assert abs(noisy.gain) < steady.gain
    assert noisy.gain_error > steady.gain_error


def test_clips_add_up() -> None:
    first, second = changes(1), changes(2)
    together = predict(screened({}), [first, second])
    assert together.margin_change == pytest.approx((first + second).mean())


def test_the_error_of_a_mean_is_that_of_independent_rows_where_each_is_a_group() -> None:
    values = changes(3)
    mean, error = mean_with_error(values, range(60))
    assert mean == pytest.approx(values.mean())
    assert error == pytest.approx(values.std(ddof=1) / math.sqrt(60))


def test_rows_of_a_group_that_vary_together_count_as_one() -> None:
    values = np.repeat(changes(4, rows=10), 6)
    _, error = mean_with_error(values, np.repeat(range(10), 6).tolist())
    assert error == pytest.approx(values[::6].std(ddof=1) / math.sqrt(10))


def test_seeds_are_averaged_with_their_errors() -> None:
    one, other = (predict(screened({}), [changes(seed)]) for seed in (5, 6))
    mean = average([one, other])
    assert mean.gain == pytest.approx((one.gain + other.gain) / 2)
    assert mean.gain_error == pytest.approx(math.hypot(one.gain_error, other.gain_error) / 2)


def test_between_screened_rates_changes_are_interpolated() -> None:
    screens = Screens([screened({clip(0.5): changes(7), clip(0.9): changes(8)})])
    prompt_set = PromptSet(shots=2, demo_seed=0, split="validation")
    at = {rate: screens.predict(prompt_set, [clip(rate)]) for rate in (0.25, 0.5, 0.7, 0.9)}
    found = {rate: each.margin_change for rate, each in at.items() if each is not None}
    assert found[0.25] == pytest.approx(found[0.5] / 2)
    assert found[0.7] == pytest.approx((found[0.5] + found[0.9]) / 2)


def test_what_was_not_screened_is_not_predicted() -> None:
    screens = Screens([screened({clip(0.5): changes(7)})])
    here, elsewhere = (PromptSet(shots=shots, demo_seed=0, split="validation") for shots in (2, 4))
    assert screens.predict(here, [clip(0.5)]) is not None
    assert screens.predict(here, [clip(0.6)]) is None
    assert screens.predict(here, [clip(0.5), clip(0.5, layer=3)]) is None
    assert screens.predict_mean([here, elsewhere], [clip(0.5)]) is None
