from dataclasses import replace

import pytest

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.gain import Gain
from clipsweep.analysis.winners.point import ONE_STANDARD_ERROR, Point
from clipsweep.analysis.winners.standings import Standings
from clipsweep.analysis.winners.verdict import Sign, Verdict, about, judge, judge_winner
from tests.analysis.store.rows import failed_row, stored_row
from tests.analysis.winners.points import BASE, EQUAL, GOOD, rows_of, stopped


def gain(estimate: float, low: float, high: float, p_value: float, split: str = "test") -> Gain:
    return Gain(estimate=estimate, low=low, high=high, p_value=p_value, split=split)


CLEAR, LOSS = gain(0.038, 0.01, 0.07, 0.004), gain(-0.03, -0.06, -0.001, 0.03)


@pytest.mark.parametrize(
    ("measured", "sign", "headline"),
    [
        (CLEAR, Sign.BETTER, "Gains about 4 points; unlikely to be chance"),
        (LOSS, Sign.WORSE, "Loses about 3 points; unlikely to be chance"),
        (gain(0.105, 0.087, 0.123, 0.0009), Sign.BETTER, "Gains about 11 points; this is not chance"),
        (gain(0.004, -0.02, 0.027, 0.7), Sign.UNCLEAR, "No detectable gain"),
        (gain(-0.004, -0.02, 0.01, 0.7), Sign.UNCLEAR, "No detectable gain"),
        (gain(0.03, 0.0, 0.06, 0.01), Sign.UNCLEAR, "No detectable gain"),  # zero is in the interval
        (gain(0.03, 1e-9, 0.06, 0.0499), Sign.BETTER, "Gains about 3 points; unlikely to be chance"),
        (gain(0.03, 0.01, 0.06, 0.05), Sign.UNCLEAR, "No detectable gain"),  # the sign test does not say so
        (gain(-0.03, -0.06, 0.0, 0.01), Sign.UNCLEAR, "No detectable gain"),
    ],
)
def test_a_gain_is_no_chance_where_interval_and_sign_test_agree(measured: Gain, sign: Sign, headline: str) -> None:
    verdict = judge(measured)
    assert (verdict.sign, verdict.headline) == (sign, headline)


def test_what_was_not_tested_is_never_clear() -> None:
    hint = judge(gain(0.05, 0.02, 0.08, 0.001, split="validation"))
    assert hint.sign is Sign.UNCLEAR
    assert hint.headline == "Not tested: about 5 points more where it was picked, which may be chance"
    assert "the best of many looks good by chance alone" in hint.reason
    for nothing in (gain(0.01, -0.02, 0.04, 0.5, "validation"), gain(-0.05, -0.08, -0.02, 0.001, "validation")):
        assert judge(nothing).headline == "No detectable gain, and not tested"


def untouched(points: list[Point], rows: dict[str, StoredRow]) -> Verdict:
    """The verdict where the untouched model won."""
    winner = Standings(points, rows_of(base=[8]) | rows).winner
    assert winner is not None
    assert winner.is_untouched
    return judge_winner(winner)


def test_the_untouched_model_wins_where_a_clip_is_complete_and_no_better() -> None:
    verdict = untouched([BASE, GOOD, EQUAL], rows_of(mlp_1_0__5=[7]) | {"mlp-2-0.5-0": failed_row()})
    assert (verdict.headline, verdict.short) == ("No gain: the untouched model wins", "no gain")
    assert verdict.reason == "No clip that was tried does better on the validation rows."


def test_before_a_clip_is_complete_there_is_no_winner_yet() -> None:
    for points in ([BASE], [BASE, replace(GOOD, trial_ids=("mlp-1-0.5-0", "not run yet"))]):
        assert untouched(points, rows_of(mlp_1_0__5=[7])).headline == "No winner yet"


def test_where_no_clip_has_a_score_that_is_the_answer() -> None:
    failed = untouched([BASE, GOOD], {"mlp-1-0.5-0": failed_row()})
    assert (failed.headline, failed.short) == ("No answer: every clip failed", "every clip failed")
    raced = untouched([BASE, GOOD, EQUAL], {"mlp-2-0.5-0": failed_row()} | stopped("mlp-1-0.5-0", (False,) * 4))
    assert raced.headline == "No gain: the untouched model wins"
    assert raced.reason == "No clip came as far as all validation rows: a race stopped 1, and 1 failed."


def test_rules_that_pass_over_a_better_clip_are_named() -> None:
    composed = untouched([BASE, replace(GOOD, can_win=False)], rows_of(mlp_1_0__5=[9]))
    assert "a step keeps its best if that gains more than 'search.min_gain'" in composed.reason
    better = {"mlp-1-0.5-0": stored_row("mlp-1-0.5-0", outcomes=(False, *[True] * 9))}  # two gained, one lost
    near = untouched([replace(point, rule=ONE_STANDARD_ERROR) for point in (BASE, GOOD)], better)
    assert near.reason == "Of the points within one standard error of the best none keeps fewer parameters."


def test_the_reason_tells_why() -> None:
    assert "once in 250 times" in judge(CLEAR).reason
    assert "3 times in 100" in judge(LOSS).reason
    assert "less than once in a million times" in judge(gain(0.2, 0.1, 0.3, 1e-9)).reason
    assert "from -2.0 to +2.7" in judge(gain(0.004, -0.02, 0.027, 0.7)).reason
    only_the_sign_test = judge(gain(0.008, 0.0001, 0.016, 0.077)).reason
    assert "come up 8 times in 100 (p = 0.077), although the 95 % interval runs from" in only_the_sign_test
    assert judge(gain(0.0, 0.0, 0.0, 1.0)).reason == "Both models are right and wrong on the same test rows."


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(0.0004, "0.0 points"), (0.0094, "0.9 points"), (0.0095, "1 point"), (-0.0149, "1 point"), (0.025, "3 points")],
)
def test_a_difference_is_told_in_whole_points_from_one_on(fraction: float, words: str) -> None:
    assert about(fraction) == words
