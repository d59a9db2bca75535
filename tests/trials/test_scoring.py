import math

import numpy as np
import pytest

from trials.scoring import score_labels

HALF = [math.log(0.5), math.log(0.5)]


def logs(*probabilities: float) -> list[float]:
    return [math.log(probability) for probability in probabilities]


def test_metrics_of_four_examples_worked_by_hand() -> None:
    scores = np.array([logs(0.9, 0.1), logs(0.8, 0.2), logs(0.4, 0.6), logs(0.7, 0.3)], dtype=np.float32)
    outcomes, metrics = score_labels(scores, [0, 0, 1, 1])
    assert outcomes == (True, True, True, False)
    assert metrics.accuracy == 0.75
    assert metrics.macro_f1 == pytest.approx((2 * 2 / 5 + 2 * 1 / 3) / 2)  # F1 0.8 and 0.667
    assert metrics.gold_logprob == pytest.approx(np.mean(np.log([0.9, 0.8, 0.6, 0.3])), abs=1e-6)
    # bins of 0.9, 0.8, 0.6, 0.7, one example each
    assert metrics.calibration_error == pytest.approx((0.1 + 0.2 + 0.4 + 0.7) / 4, abs=1e-6)


def test_an_exact_tie_goes_to_the_first_label() -> None:
    outcomes, _ = score_labels(np.array([HALF, HALF], dtype=np.float32), [0, 1])
    assert outcomes == (True, False)


def test_likelihoods_are_renormalised_over_the_candidates() -> None:
    _, metrics = score_labels(np.array([[-50.0, -50.0 - math.log(3)]], dtype=np.float32), [0])
    assert metrics.gold_logprob == pytest.approx(math.log(0.75), abs=1e-5)


def test_a_class_that_never_occurs_does_not_count_in_f1() -> None:
    _, metrics = score_labels(np.array([logs(0.8, 0.1, 0.1)], dtype=np.float32), [0])
    assert metrics.macro_f1 == 1.0


def test_a_strict_answer_must_score_higher_than_every_other() -> None:
    scores = np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 2.0], [3.0, 2.0, 2.0]], dtype=np.float32)
    outcomes, _ = score_labels(scores, [0, 1, 2, 0], strict=True)
    assert outcomes == (False, False, True, True)


def test_a_strict_tie_counts_as_the_other_label_in_f1() -> None:
    _, metrics = score_labels(np.array([HALF, HALF], dtype=np.float32), [0, 1], strict=True)
    assert (metrics.accuracy, metrics.macro_f1) == (0.0, 0.0)
