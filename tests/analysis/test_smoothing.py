from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.smoothing import BANDWIDTH, smoothed_accuracy
from analysis.table import pack_margins, pack_outcomes

SPREAD = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=40).filter(lambda each: len({*each}) > 1)


def row_of(margins: list[float]) -> dict[str, Any]:
    right = [margin > 0 for margin in margins]
    row = {"n_examples": len(right), "outcomes": pack_outcomes(right), "accuracy": float(np.mean(right))}
    return row | {"margins": pack_margins(margins)}


def test_each_margin_counts_as_its_chance_to_stay_above_zero_under_noise() -> None:
    noise = BANDWIDTH * 2.0  # half of the standard deviation of -1 and 3
    expected = (stats.norm.cdf(-1 / noise) + stats.norm.cdf(3 / noise)) / 2
    assert smoothed_accuracy(row_of([-1.0, 3.0])) == pytest.approx(expected)


@given(SPREAD, st.sampled_from([0.25, 4.0, 64.0]))
def test_scaling_all_scores_changes_nothing(margins: list[float], factor: float) -> None:
    scaled = [factor * margin for margin in margins]
    assert smoothed_accuracy(row_of(scaled)) == pytest.approx(smoothed_accuracy(row_of(margins)))


@given(SPREAD)
def test_answers_that_turn_round_turn_it_round(margins: list[float]) -> None:
    turned = smoothed_accuracy(row_of([-margin for margin in margins]))
    assert turned == pytest.approx(1 - smoothed_accuracy(row_of(margins)))


def test_only_the_first_examples_count_where_so_many_are_asked_for() -> None:
    assert smoothed_accuracy(row_of([-1.0, 3.0, 9.0, 9.0]), 2) == smoothed_accuracy(row_of([-1.0, 3.0]))


@pytest.mark.parametrize("without", [{"margins": None}, {"margins": pack_margins([2.0, 2.0, 2.0])}])
def test_without_margins_that_differ_it_is_the_accuracy(without: dict[str, Any]) -> None:
    row = row_of([2.0, 2.0, -1.0]) | without
    assert smoothed_accuracy(row) == pytest.approx(2 / 3)
    assert smoothed_accuracy(row, 2) == 1.0


def test_it_tells_two_trials_apart_with_fewer_examples_than_accuracy_does() -> None:
    rng = np.random.default_rng(0)
    better = {"smoothed": 0, "plain": 0}
    for _ in range(300):  # the second is shifted by a tenth of the spread, on the same 60 examples
        first = rng.normal(0.6, 1.0, 60)
        second = first + 0.1 + rng.normal(0, 0.2, 60)
        rows = [row_of(margins.tolist()) for margins in (first, second)]
        better["smoothed"] += smoothed_accuracy(rows[0]) < smoothed_accuracy(rows[1])
        better["plain"] += rows[0]["accuracy"] < rows[1]["accuracy"]
    assert better["smoothed"] > 290
    assert better["plain"] < 270
