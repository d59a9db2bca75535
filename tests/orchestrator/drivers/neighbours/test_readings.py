"""Readings, and how their errors go together."""

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsweep.orchestrator.drivers.neighbours.readings import read

RUNGS = (32, 64, 128, 256)
Numbers = NDArray[np.float64]


def at_rungs(values: Numbers, reached: int = len(RUNGS)) -> list[Numbers]:
    return [values[:rows] for rows in RUNGS[:reached]]


def test_an_effect_is_the_mean_difference_in_spreads_at_every_rung() -> None:
    rng = np.random.default_rng(0)
    untouched = rng.random(256)
    point = np.clip(untouched + 0.1 + 0.1 * rng.standard_normal(256), 0, 1)
    readings = read([at_rungs(point, 2)], at_rungs(untouched, 3), RUNGS)
    spread = (point - untouched)[:64].std(ddof=1)
    assert readings.spreads == pytest.approx([spread])
    expected = [(point - untouched)[:rows].mean() / spread for rows in (32, 64)]
    assert readings.values == pytest.approx(expected)


def test_of_all_rows_there_is_no_error_left() -> None:
    rng = np.random.default_rng(0)
    readings = read([at_rungs(rng.random(256))], at_rungs(rng.random(256), 4), RUNGS)
    assert readings.errors[3, :4] == pytest.approx(0)
    assert readings.errors[0, 0] == pytest.approx(1 / 32 - 1 / 256)
    assert readings.errors[0, 1] == pytest.approx(1 / 64 - 1 / 256)  # the rows of the first are among the second's


def test_errors_of_points_that_turn_the_same_rows_go_together() -> None:
    rng = np.random.default_rng(0)
    untouched, shared = np.full(256, 0.5), rng.uniform(-0.2, 0.2, 256)
    others = [shared + rng.uniform(-0.01, 0.01, 256), rng.uniform(-0.2, 0.2, 256)]
    points = [at_rungs(untouched + change, 1) for change in (shared, *others)]
    errors = read(points, at_rungs(untouched, 1), RUNGS).errors
    assert errors[0, 1] > 0.8 * errors[0, 0]
    assert abs(errors[0, 2]) < 0.5 * errors[0, 0]


def test_how_unusual_the_first_rows_are_is_read_off_the_untouched_model() -> None:
    rng = np.random.default_rng(0)
    untouched = rng.random(256)
    readings = read([at_rungs(rng.random(256), 1)], at_rungs(untouched, 4), RUNGS)
    controls = readings.values[len(readings.points) :]
    assert controls[0] == pytest.approx((untouched[:32].mean() - untouched.mean()) / untouched.std())


def test_a_clip_that_changes_nothing_has_no_effect() -> None:
    untouched = np.random.default_rng(0).random(256)
    readings = read([at_rungs(untouched, 2)], at_rungs(untouched, 2), RUNGS)
    assert readings.values == pytest.approx(0)
    assert np.isfinite(readings.errors).all()


def test_a_clip_that_turned_none_of_a_few_rows_may_turn_others() -> None:
    right = (np.random.default_rng(0).random(256) < 0.7).astype(np.float64)
    assert read([at_rungs(right, 1)], at_rungs(right, 1), RUNGS).spreads == pytest.approx([1 / 32])
