import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from clipsweep.trials.scores.judge import UNRIVALLED, measure_margins, predict, score_labels
from clipsweep.trials.scores.tally import Tally

HALF = [math.log(0.5), math.log(0.5)]


def logs(*probabilities: float) -> list[float]:
    return [math.log(probability) for probability in probabilities]


def test_metrics_of_four_examples_worked_by_hand() -> None:
    scores = np.array([logs(0.9, 0.1), logs(0.8, 0.2), logs(0.4, 0.6), logs(0.7, 0.3)], dtype=np.float32)
    outcomes, tally = score_labels(scores, [0, 0, 1, 1])
    metrics = tally.scores
    assert outcomes == (True, True, True, False)
    assert metrics.accuracy == 0.75
    assert metrics.macro_f1 == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)  # F1 0.8 and 0.667
    assert metrics.gold_logprob == pytest.approx(np.mean(np.log([0.9, 0.8, 0.6, 0.3])), abs=1e-6)
    # bins of 0.9, 0.8, 0.6, 0.7, one example each
    assert metrics.calibration_error == pytest.approx((0.1 + 0.2 + 0.4 + 0.7) / 4, abs=1e-6)


def test_an_exact_tie_goes_to_the_first_label() -> None:
    outcomes, _ = score_labels(np.array([HALF, HALF], dtype=np.float32), [0, 1])
    assert outcomes == (True, False)


@pytest.mark.parametrize(("strict", "expected"), [(False, [0, 0, 2, 0]), (True, [1, 0, 2, 0])])
def test_the_label_that_is_told_is_the_one_that_was_judged(strict: bool, expected: list[int]) -> None:
    scores = np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 2.0], [3.0, 2.0, 2.0]], dtype=np.float32)
    gold = [0, 1, 2, 1]
    predicted = predict(scores, gold, strict=strict).tolist()
    assert predicted == expected
    assert score_labels(scores, gold, strict=strict)[0] == tuple(np.equal(predicted, gold).tolist())


def test_likelihoods_are_renormalised_over_the_candidates() -> None:
    metrics = score_labels(np.array([[-50.0, -50.0 - math.log(3)]], dtype=np.float32), [0])[1].scores
    assert metrics.gold_logprob == pytest.approx(math.log(0.75), abs=1e-5)


def test_a_class_that_never_occurs_does_not_count_in_f1() -> None:
    metrics = score_labels(np.array([logs(0.8, 0.1, 0.1)], dtype=np.float32), [0])[1].scores
    assert metrics.macro_f1 == 1.0


def test_a_strict_answer_must_score_higher_than_every_other() -> None:
    scores = np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 2.0], [3.0, 2.0, 2.0]], dtype=np.float32)
    outcomes, _ = score_labels(scores, [0, 1, 2, 0], strict=True)
    assert outcomes == (False, False, True, True)


def test_a_strict_tie_counts_as_the_other_label_in_f1() -> None:
    metrics = score_labels(np.array([HALF, HALF], dtype=np.float32), [0, 1], strict=True)[1].scores
    assert (metrics.accuracy, metrics.macro_f1) == (0.0, 0.0)


@given(st.lists(st.tuples(st.floats(-9, 0), st.floats(-9, 0), st.integers(0, 1)), min_size=2, max_size=30), st.data())
def test_tallies_of_parts_add_up_to_that_of_all_rows_bit_by_bit(
    rows: list[tuple[float, float, int]], data: st.DataObject
) -> None:
    scores = np.array([row[:2] for row in rows], dtype=np.float32)
    gold = [row[2] for row in rows]
    cut = data.draw(st.integers(1, len(rows) - 1))
    _, whole = score_labels(scores, gold)
    _, first = score_labels(scores[:cut], gold[:cut])
    _, rest = score_labels(scores[cut:], gold[cut:])
    joined = Tally.of_json(json.loads(json.dumps(first.to_json()))) + rest
    assert joined == whole


def test_margins_are_how_far_the_gold_label_is_ahead_of_the_best_other() -> None:
    scores = np.array([[3.0, 1.0, 2.5], [3.0, 1.0, 2.5], [0.0, 0.0, -1.0]], dtype=np.float32)
    assert measure_margins(scores, [0, 1, 0]) == (0.5, -2.0, 0.0)


def test_an_only_choice_is_right_by_a_margin_that_is_no_outlier_whatever_it_scores() -> None:
    scores = np.array([[-9.0, -np.inf], [-2.0, -np.inf], [-1.0, -3.0]], dtype=np.float32)
    assert measure_margins(scores, [0, 0, 0]) == (UNRIVALLED, UNRIVALLED, 2.0)
    assert 0 < UNRIVALLED < 10
    for strict in (False, True):
        outcomes, tally = score_labels(scores, [0, 0, 0], strict=strict)
        assert outcomes == (True, True, True)
        assert tally.gold_logprob == pytest.approx(-math.log1p(math.exp(-2)), abs=1e-6)


@given(hnp.arrays(np.float32, (5, 3), elements=st.floats(-9, 9, width=16)), st.lists(st.integers(0, 2), min_size=5))
def test_an_answer_is_right_where_its_margin_is_above_zero(scores: NDArray[np.float32], gold: list[int]) -> None:
    outcomes, _ = score_labels(scores, gold[:5], strict=True)
    assert outcomes == tuple(margin > 0 for margin in measure_margins(scores, gold[:5]))
