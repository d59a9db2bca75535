import math

import pytest

from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import (
    against_words,
    allowance_words,
    gain_words,
    loss_words,
    perplexity_words,
    score_words,
    unit_of,
)


def test_shares_differ_in_points_likelihoods_in_nats() -> None:
    assert unit_of("accuracy").difference(0.0351) == "+3.5 points"
    assert unit_of("gold_logprob").difference(-0.0104) == "-0.010 nats"
    assert unit_of("nll").difference(0.066) == "+0.0660 nats per token"
    assert unit_of("accuracy").interval(-0.02, 0.027) == "-2.0 to +2.7"


@pytest.mark.parametrize(
    ("perplexity", "words"),
    [(1.0, "1.000"), (23.4, "23.40"), (123.46, "123.5"), (1204.4, "1,204"), (2.5e8, "2.5e+08")],
)
def test_a_perplexity_has_four_digits(perplexity: float, words: str) -> None:
    assert perplexity_words(math.log(perplexity)) == words


def test_a_score_of_text_has_its_perplexity_beside_it() -> None:
    assert score_words("nll", 3.1528) == "3.1528 (perplexity 23.40)"
    assert score_words("accuracy", 0.748) == "0.7480"
    assert against_words("nll", math.log(21.91), math.log(23.4)) == "perplexity 21.91 against 23.40"
    assert against_words("accuracy", 0.748, 0.713) == "0.7480 against 0.7130"


def test_gains_of_answers_name_what_they_are_in() -> None:
    assert gain_words("accuracy", 0.035) == "accuracy +3.5 points"
    assert gain_words("nll", 0.066) == "+0.0660 nats per token"


def test_less_nll_is_better() -> None:
    assert METRICS["nll"].goodness(METRICS["nll"].goodness(2.0)) == 2.0
    assert [name for name, metric in METRICS.items() if metric.goodness(1.0) < 0] == ["nll"]
    assert {name: metric.gained for name, metric in METRICS.items()} == {
        "accuracy": "accuracy",
        "macro_f1": "accuracy",
        "gold_logprob": "accuracy",
        "nll": "nll",
    }


@pytest.mark.parametrize(
    ("metric", "loss", "words"),
    [
        ("accuracy", 0.01, "1 point"),
        ("accuracy", 0.005, "0.5 points"),
        ("gold_logprob", 0.01, "0.01 nats"),
        ("nll", 0.01, "0.01 nats per token"),
    ],
)
def test_a_loss_is_told_with_its_unit(metric: str, loss: float, words: str) -> None:
    assert loss_words(metric, loss) == allowance_words(metric, loss) == words


def test_where_nothing_may_be_lost_that_is_said_in_a_word() -> None:
    assert allowance_words("accuracy", 0.0) == "none"
