"""Winners, gains, estimates and verdicts of texts, which are not right or wrong, and of whose score less is better."""

from dataclasses import replace

import numpy as np
import pytest

from clipsweep.analysis.winners.gain import Gain, measure_gain
from clipsweep.analysis.winners.interval import standard_error
from clipsweep.analysis.winners.pareto import pareto_front, rate_points
from clipsweep.analysis.winners.pick import pick
from clipsweep.analysis.winners.point import ONE_STANDARD_ERROR
from clipsweep.analysis.winners.points_of_rows import check_metric, points_of_rows
from clipsweep.analysis.winners.scores import estimated_score, mean_goodness
from clipsweep.analysis.winners.smoothing import estimated_goodness, goodness_so_far, values_so_far
from clipsweep.analysis.winners.standings import Standings, winners_document
from clipsweep.analysis.winners.verdict import Sign, judge, judge_winner
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import changed, stored_row, text_row
from tests.analysis.winners.points import BASE, EQUAL, GOOD, WINDOWS, as_text, make_point, text_rows_of

POINTS = [as_text(point) for point in (BASE, GOOD, EQUAL)]


def test_the_least_nll_wins() -> None:
    assert pick(POINTS, text_rows_of(base=3.0, mlp_1_0__5=2.9, mlp_2_0__5=3.1)) == POINTS[1]


def test_the_winner_scores_in_nats_and_gains_what_a_token_became_likelier() -> None:
    winner = Standings(POINTS, text_rows_of(base=3.0, mlp_1_0__5=2.9)).winner
    assert winner is not None
    assert winner.baseline_score - winner.score == pytest.approx(0.1)
    assert winner.gain.estimate == pytest.approx(0.1, abs=1e-6)
    assert (
        winners_document(Standings(POINTS, text_rows_of(base=3.0, mlp_1_0__5=2.9)), winner)["gain"]["metric"] == "nll"
    )


def test_a_gain_is_paired_by_window_and_weighs_by_tokens() -> None:
    # windows of 2, 4 and 6 tokens; the log-likelihood rises by 1, 1 and -0.5: in all by 1.5 over 12 tokens
    before, after = text_row((-4, -8, -12), (2, 4, 6)), text_row((-3, -7, -12.5), (2, 4, 6))
    gain = measure_gain([after], [before])
    assert gain.estimate == pytest.approx(1.5 / 12)
    assert (gain.metric, gain.split) == ("nll", "validation")
    assert gain.low < 1.5 / 12 < gain.high
    assert gain.p_value == 1.0  # two up, one down


def test_the_standard_error_of_a_weighted_mean_is_that_of_a_ratio() -> None:
    # mean (1*2 + 3*1)/3 = 5/3; weight * deviation: 2 * -2/3 and 1 * 4/3, so sqrt(2 * 2 * 16/9) / 3 = 8/9
    assert standard_error(np.array([1.0, 3.0]), np.array([2.0, 1.0])) == pytest.approx(8 / 9)
    values = np.array([1.0, 4.0, 2.0])
    assert standard_error(values, np.ones(3)) == pytest.approx(standard_error(values))
    assert standard_error(np.array([1.0])) == 0.0


def test_within_one_standard_error_the_fewest_parameters_win() -> None:
    points = [replace(point, rule=ONE_STANDARD_ERROR) for point in POINTS]
    rows = {
        "base-0": text_row((-30, -60, -15), (10, 20, 5), "base-0"),
        "mlp-1-0.5-0": text_row((-28, -56, -14), (10, 20, 5), "mlp-1-0.5-0"),
        "mlp-2-0.5-0": changed(text_row((-27, -57.5, -13.9), (10, 20, 5), "mlp-2-0.5-0"), parameters_kept=1),
    }
    assert pick(points, rows) == points[2]  # behind by 0.4 / 35 nats, with an error of about 0.05
    rows["mlp-2-0.5-0"] = changed(text_row((-30, -60, -15), (10, 20, 5), "mlp-2-0.5-0"), parameters_kept=1)
    assert pick(points, rows) == points[1]


def test_the_front_rises_as_nll_falls() -> None:
    rows = text_rows_of(base=3.0, mlp_1_0__5=2.9, mlp_2_0__5=3.2)
    for name, kept in (("base-0", 10), ("mlp-1-0.5-0", 8), ("mlp-2-0.5-0", 6)):
        rows[name] = changed(rows[name], parameters_kept=kept)
    front = pareto_front(rate_points(POINTS, rows))
    assert [each.point for each in front] == [POINTS[2], POINTS[1]]


def test_a_stopped_trial_is_estimated_from_the_windows_seen_as_much_easier_as_these_are() -> None:
    # untouched: 1 nat in the first window of 10 tokens, 3 in the second; 60 in all of 30. Stopped: 0.8 in the first.
    untouched = text_row((-10, -60), (10, 20), "base-0")
    stopped = text_row((-8,), (10,), "mlp-1-0.5-0", state=TrialState.PRUNED)
    assert goodness_so_far(untouched, 1, smoothed=False) == pytest.approx(-1.0)
    assert values_so_far(untouched, 1, smoothed=True).tolist() == [-1.0]
    assert estimated_goodness(stopped, untouched, smoothed=False) == pytest.approx(-70 / 30 + 0.2)
    rows = {"base-0": untouched, "mlp-1-0.5-0": stopped}
    assert estimated_score(POINTS[1], rows) == pytest.approx(70 / 30 - 0.2)
    assert mean_goodness(("base-0",), rows, "nll") == pytest.approx(-70 / 30)


def test_a_verdict_tells_of_perplexity() -> None:
    gain = Gain(estimate=0.0658, low=0.06, high=0.072, p_value=1e-5, split="test", metric="nll")
    verdict = judge(gain, (np.log(21.91), np.log(23.4)))
    assert verdict.headline == "Perplexity falls from 23.40 to 21.91 (0.0658 nats per token less); this is not chance"
    assert "so uneven a split of the windows that became likelier or less likely would come up" in verdict.reason
    assert judge(gain).headline.startswith("Perplexity falls by 6.4 % (0.0658 nats per token less)")


def test_a_loss_of_perplexity_rises() -> None:
    loss = Gain(estimate=-0.5, low=-0.6, high=-0.4, p_value=0.01, split="test", metric="nll")
    verdict = judge(loss, (3.5, 3.0))
    assert verdict.sign is Sign.WORSE
    assert verdict.headline == (
        "Perplexity rises from 20.09 to 33.12 (0.5000 nats per token more); unlikely to be chance"
    )


def test_what_may_be_chance_is_told_in_nats() -> None:
    unclear = Gain(estimate=0.0004, low=-0.001, high=0.002, p_value=0.4, split="test", metric="nll")
    assert judge(unclear).reason == (
        "The gain of +0.0004 nats per token on test rows may be chance: the 95 % interval runs from -0.0010 to +0.0020."
    )
    nothing = Gain(estimate=0.0, low=0.0, high=0.0, p_value=1.0, split="test", metric="nll")
    assert judge(nothing).reason == "Both models give each test window the same likelihood."


def test_without_test_rows_a_winner_tells_how_far_perplexity_fell_where_it_was_picked() -> None:
    tokens = WINDOWS * 3
    rows = {
        key: text_row([-(nats + 0.01 * (number % 3)) * count for number, count in enumerate(tokens)], tokens, key)
        for key, nats in (("base-0", 3.0), ("mlp-1-0.5-0", 2.0))
    }
    winner = Standings(POINTS[:2], rows).winner
    assert winner is not None
    assert judge_winner(winner).headline.startswith("Not tested: perplexity falls from 20.")


def test_rows_alone_tell_that_they_are_of_text() -> None:
    assert {point.metric for point in points_of_rows({"a": text_row((-3,), (2,))})} == {"nll"}
    assert {point.metric for point in points_of_rows({"a": stored_row()})} == {"accuracy"}


def test_a_metric_of_the_other_kind_of_task_is_refused() -> None:
    with pytest.raises(StudyError, match="have no accuracy, as their task is text; expected nll"):
        check_metric({"a": text_row((-3,), (2,))}, "accuracy")
    with pytest.raises(StudyError, match="no nll, as their task is answered; expected accuracy or macro_f1 or gold"):
        check_metric({"a": stored_row()}, "nll")


def test_a_metric_that_no_trial_has_is_refused() -> None:
    rows = {"a": changed(stored_row(), macro_f1=None)}
    with pytest.raises(StudyError, match="have no macro_f1, as their answers differ by row.*accuracy or gold_logprob"):
        check_metric(rows, "macro_f1")
    check_metric(rows | {"b": stored_row()}, "macro_f1")  # an older version stored one


def test_greedy_answers_have_no_f1_but_a_gain() -> None:
    rows = {
        key: changed(stored_row(key, outcomes=right), macro_f1=None, calibration_error=None)
        for key, right in (("base-0", (True, False, False)), ("mlp-1-0.5-0", (True, True, False)))
    }
    winner = Standings([make_point(None), make_point(1)], rows).winner
    assert winner is not None
    assert winner.score == pytest.approx(2 / 3)
    assert winner.gain.metric == "accuracy"
