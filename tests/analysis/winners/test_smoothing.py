from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from clipsweep.analysis.row.packing import pack_margins
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.smoothing import (
    BANDWIDTH,
    accuracy_so_far,
    estimated_goodness,
    gain_so_far,
    have_margins,
)
from tests.analysis.store.rows import changed, columns_of

SPREAD = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=40).filter(lambda each: len({*each}) > 1)


def row_of(margins: list[float]) -> StoredRow:
    """A row of examples that are right where their margin is above 0."""
    return StoredRow.of(columns_of([margin > 0 for margin in margins], margins))


def smoothed(row: StoredRow, n_rows: int | None = None) -> float:
    return accuracy_so_far(row, n_rows, smoothed=True)


def test_each_margin_counts_as_its_chance_to_stay_above_zero_under_noise() -> None:
    noise = BANDWIDTH * 2.0  # half of the standard deviation of -1 and 3
    expected = (stats.norm.cdf(-1 / noise) + stats.norm.cdf(3 / noise)) / 2
    assert smoothed(row_of([-1.0, 3.0])) == pytest.approx(expected)


@given(SPREAD, st.sampled_from([0.25, 4.0, 64.0]))
def test_scaling_all_scores_changes_nothing(margins: list[float], factor: float) -> None:
    scaled = [factor * margin for margin in margins]
    assert smoothed(row_of(scaled)) == pytest.approx(smoothed(row_of(margins)))


@given(SPREAD)
def test_answers_that_turn_round_turn_it_round(margins: list[float]) -> None:
    turned = smoothed(row_of([-margin for margin in margins]))
    assert turned == pytest.approx(1 - smoothed(row_of(margins)))


def test_only_the_first_examples_count_where_so_many_are_asked_for() -> None:
    assert smoothed(row_of([-1.0, 3.0, 9.0, 9.0]), 2) == smoothed(row_of([-1.0, 3.0]))


@pytest.mark.parametrize("without", [{"margins": None}, {"margins": pack_margins([2.0, 2.0, 2.0])}])
def test_without_margins_that_differ_it_is_the_accuracy(without: dict[str, Any]) -> None:
    row = changed(row_of([2.0, 2.0, -1.0]), **without)
    assert smoothed(row) == pytest.approx(2 / 3)
    assert smoothed(row, 2) == 1.0


def test_plain_accuracy_counts_right_answers() -> None:
    row = row_of([2.0, 0.1, -1.0, -9.0])
    assert [accuracy_so_far(row, n_rows, smoothed=False) for n_rows in (None, 2, 3)] == [0.5, 1.0, pytest.approx(2 / 3)]


@pytest.mark.parametrize("smooth", [True, False])
def test_what_the_untouched_model_gains_on_all_rows_is_added(smooth: bool) -> None:
    untouched, stopped = row_of([-1.0, 1.0, 2.0, 3.0]), row_of([-1.0, 2.0])
    gain = accuracy_so_far(stopped, smoothed=smooth) - accuracy_so_far(untouched, 2, smoothed=smooth)
    assert gain_so_far(stopped, untouched, smoothed=smooth) == gain
    expected = accuracy_so_far(untouched, smoothed=smooth) + gain
    assert estimated_goodness(stopped, untouched, smoothed=smooth) == expected


@pytest.mark.parametrize("untouched", [None, row_of([1.0, -2.0])])
def test_without_more_rows_of_the_untouched_model_the_estimate_is_the_accuracy(
    untouched: StoredRow | None,
) -> None:
    row = row_of([3.0, -1.0])
    assert estimated_goodness(row, untouched, smoothed=True) == smoothed(row)


def test_margins_must_be_in_every_row() -> None:
    whole = row_of([1.0, -1.0])
    assert have_margins([whole, whole])
    assert not have_margins([whole, changed(whole, margins=None)])


def test_it_tells_two_trials_apart_with_fewer_examples_than_accuracy_does() -> None:
    rng = np.random.default_rng(0)
    better = {"smoothed": 0, "plain": 0}
    for _ in range(300):  # the second is shifted by a tenth of the spread, on the same 60 examples
        first = rng.normal(0.6, 1.0, 60)
        second = first + 0.1 + rng.normal(0, 0.2, 60)
        rows = [row_of(margins.tolist()) for margins in (first, second)]
        better["smoothed"] += smoothed(rows[0]) < smoothed(rows[1])
        better["plain"] += rows[0].score("accuracy") < rows[1].score("accuracy")
    assert better["smoothed"] > 290
    assert better["plain"] < 270
