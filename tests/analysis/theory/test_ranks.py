"""Rank correlations by hand, and of resamples against the same values written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from clipsweep.analysis.theory import ranks
from clipsweep.analysis.theory.ranks import spearman, spearman_by_group, spearman_to_columns


def test_infinities_are_in_order() -> None:
    # ranks 3.5, 2, 3.5, 1, 5 and 3, 1, 4, 2, 5: sums of products 8.5, of squares 9.5 and 10
    found = spearman(np.array([3.0, 1.0, 3.0, -np.inf, np.inf]), np.array([3.0, 1.0, 4.0, 2.0, 5.0]))
    assert found == pytest.approx(8.5 / math.sqrt(9.5 * 10))


def test_without_ties_the_formula_of_squared_differences_holds() -> None:
    one, other = np.array([10.0, 20, 30, 40, 50]), np.array([2.0, 1, 4, 3, 5])  # d = -1, 1, -1, 1, 0
    assert spearman(one, other) == pytest.approx(1 - 6 * 4 / (5 * 24))


def test_with_ties_it_is_the_correlation_of_the_average_ranks() -> None:
    # ranks 1, 2.5, 2.5, 4 and 1, 3, 2, 4: sums of products 4.5, of squares 4.5 and 5
    assert spearman(np.array([1.0, 2, 2, 3]), np.array([1.0, 3, 2, 4])) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


def test_what_does_not_vary_has_no_correlation() -> None:
    assert math.isnan(spearman(np.ones(4), np.arange(4.0)))


@pytest.mark.parametrize("at_once", [1, 60, 2**18])
def test_columns_are_each_correlated_as_if_alone(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "VALUES_TOGETHER", at_once)
    rng = np.random.default_rng(0)
    rows, columns = rng.normal(size=(2, 30)), rng.integers(0, 5, size=(30, 3)).astype(float)
    expected = [[spearman(row, column) for column in columns.T] for row in rows]
    np.testing.assert_allclose(spearman_to_columns(rows, columns), expected, atol=1e-14)


def test_a_resample_of_whole_groups_is_the_resample_written_out() -> None:
    rng = np.random.default_rng(1)
    row, target = rng.integers(0, 6, 20).astype(float), rng.integers(0, 4, 20).astype(float)
    groups, draws = np.arange(20) % 4, np.array([[1.0, 1, 1, 1], [2, 0, 1, 1], [0, 3, 0, 1], [0, 0, 4, 0]])
    counts = draws[:, groups].astype(int)
    expected = [spearman(np.repeat(row, each), np.repeat(target, each)) for each in counts]
    np.testing.assert_allclose(spearman_by_group(row[None], target, groups, draws)[0], expected, atol=1e-14)


def test_a_resample_of_one_value_alone_counts_as_0() -> None:
    values, draws = np.array([1.0, 2, 3]), np.array([[3.0, 0, 0]])
    assert spearman_by_group(values[None], values, np.arange(3), draws).tolist() == [[0.0]]


def test_a_row_or_a_column_that_does_not_vary_has_no_correlation() -> None:
    rows, columns = np.array([[1.0, 2, 3], [4, 4, 4]]), np.array([[1.0, 5], [2, 5], [4, 5]])
    np.testing.assert_allclose(spearman_to_columns(rows, columns), [[1, np.nan], [np.nan, np.nan]])
