"""Correlations of made-up studies in which something does, or does not, tell the gain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from clipsweep.analysis.theory.changes import changes_of
from clipsweep.analysis.theory.correlations import Correlation, _contest, correlate
from clipsweep.analysis.theory.quantities import QUANTITIES, SIMPLEST
from clipsweep.analysis.theory.resample import Resampled
from tests.analysis.theory.studies import planted_study, sparse_study


def correlations_of(slope: float, **options: int) -> dict[str, Correlation]:
    return {each.quantity: each for each in correlate(changes_of(planted_study(slope, **options))).of_all}


def test_a_planted_relation_is_found_by_both_intervals() -> None:
    found = correlations_of(1.0)["sum_implicit_gradient"]
    assert found.rho is not None
    assert found.rho < -0.6
    assert found.says_something


def test_where_there_is_no_relation_the_intervals_hold_0() -> None:
    found = correlations_of(0.0, seed=3)["sum_implicit_gradient"]
    assert found.by_layer is not None
    assert found.by_example is not None
    assert found.by_layer[0] < 0 < found.by_layer[1]
    assert found.by_example[0] < 0 < found.by_example[1]
    assert not found.says_something


@pytest.mark.parametrize("gaining", [(2,), (0, 4)])
def test_gains_of_few_layers_give_no_interval_by_layer_that_leaves_out_0(gaining: tuple[int, ...]) -> None:
    found = correlate(changes_of(sparse_study(gaining)))
    assert any(abs(each.rho or 0) > 0.4 for each in found.of_all)
    intervals = [each.by_layer for each in (*found.of_all, found.against_simplest) if each is not None]
    told = [each for each in intervals if each is not None]
    assert len(told) > 6
    assert all(low <= 0 <= high for low, high in told)


def test_two_layers_have_no_interval_by_layer() -> None:
    found = correlations_of(1.0, n_layers=2)["sum_implicit_gradient"]
    assert found.by_layer is None
    assert found.by_example is not None


@pytest.mark.parametrize("name", ["condition_number", "share_removed"])
def test_what_was_not_measured_has_no_correlation(name: str) -> None:
    found = correlations_of(1.0)[name]
    assert (found.rho, found.by_layer, found.by_example, found.n_trials) == (None, None, None, 0)


NOTHING = Resampled(
    n_trials=9, n_layers=3, rho=float("nan"), margin_rho=float("nan"), by_layer=None, by_example=np.full(1000, np.nan)
)


def resampled(**rho: float) -> dict[str, Resampled]:
    """Resamples of these spread around their correlation by 0.3 either way, all in the same order."""
    away = np.linspace(-0.3, 0.3, 1000)
    return {
        name: replace(NOTHING, rho=rho[name], by_example=rho[name] + away) if name in rho else NOTHING
        for name in QUANTITIES
    }


def test_resamples_of_a_weak_quantity_are_not_folded_upwards() -> None:
    # both resample by the same amounts, so that their difference is 0.2 in each; folded, it is as low as -0.0
    contest = _contest(resampled(sum_delta_w=-0.25, layer=-0.05), SIMPLEST)
    assert contest is not None
    assert contest.by_example == pytest.approx((0.2, 0.2))


def test_a_contest_is_of_the_norm_that_has_the_sign_of_the_theory() -> None:
    contest = _contest(resampled(sum_implicit_gradient=-0.15, last_delta_w=0.7, layer=0.2), SIMPLEST)
    assert contest is not None
    assert contest.theory == "sum_implicit_gradient"
    assert contest.difference == pytest.approx(-0.05)


def test_where_no_norm_has_that_sign_the_contest_is_of_the_largest() -> None:
    contest = _contest(resampled(sum_implicit_gradient=0.15, last_delta_w=0.7, layer=0.2), SIMPLEST)
    assert contest is not None
    assert contest.theory == "last_delta_w"
