import pytest

from clipsweep.analysis.winners.gain import Gain
from clipsweep.analysis.winners.verdict import Sign, about, judge


def gain(estimate: float, low: float, high: float, p_value: float, split: str = "test") -> Gain:
    return Gain(estimate=estimate, low=low, high=high, p_value=p_value, split=split)


CLEAR, LOSS = gain(0.038, 0.01, 0.07, 0.004), gain(-0.03, -0.06, -0.001, 0.03)


@pytest.mark.parametrize(
    ("measured", "sign", "headline"),
    [
        (CLEAR, Sign.BETTER, "Gains about 4 points; this is not chance"),
        (LOSS, Sign.WORSE, "Loses about 3 points; this is not chance"),
        (gain(0.004, -0.02, 0.027, 0.7), Sign.UNCLEAR, "No detectable gain"),
        (gain(-0.004, -0.02, 0.01, 0.7), Sign.UNCLEAR, "No detectable gain"),
        (gain(0.03, 0.0, 0.06, 0.01), Sign.UNCLEAR, "No detectable gain"),  # zero is in the interval
        (gain(0.03, 1e-9, 0.06, 0.0499), Sign.BETTER, "Gains about 3 points; this is not chance"),
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


def test_the_untouched_model_gains_nothing() -> None:
    assert judge(gain(0.0, 0.0, 0.0, 1.0), untouched=True).headline == "No gain: the untouched model wins"


def test_the_reason_tells_why() -> None:
    assert "once in 250 times" in judge(CLEAR).reason
    assert "3 times in 100" in judge(LOSS).reason
    assert "less than once in a million times" in judge(gain(0.2, 0.1, 0.3, 1e-9)).reason
    assert "from -2.0 to +2.7" in judge(gain(0.004, -0.02, 0.027, 0.7)).reason
    assert judge(gain(0.0, 0.0, 0.0, 1.0)).reason == "Both models are right and wrong on the same test rows."


@pytest.mark.parametrize(
    ("fraction", "words"),
    [(0.0004, "0.0 points"), (0.0094, "0.9 points"), (0.0095, "1 point"), (-0.0149, "1 point"), (0.025, "3 points")],
)
def test_a_difference_is_told_in_whole_points_from_one_on(fraction: float, words: str) -> None:
    assert about(fraction) == words
