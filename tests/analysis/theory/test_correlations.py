"""Correlations of made-up studies in which something does, or does not, tell the gain."""

from __future__ import annotations

import pytest

from clipsweep.analysis.theory.changes import changes_of
from clipsweep.analysis.theory.correlations import Correlation, correlate
from tests.analysis.theory.studies import planted_study


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


def test_two_layers_have_no_interval_by_layer() -> None:
    found = correlations_of(1.0, n_layers=2)["sum_implicit_gradient"]
    assert found.by_layer is None
    assert found.by_example is not None


@pytest.mark.parametrize("name", ["condition_number", "share_removed"])
def test_what_was_not_measured_has_no_correlation(name: str) -> None:
    found = correlations_of(1.0)[name]
    assert (found.rho, found.by_layer, found.by_example, found.n_trials) == (None, None, None, 0)
