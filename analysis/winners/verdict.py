"""What a gain means in words: whether it may be chance, before any number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from clipsweep.analysis.winners.gain import Gain
from clipsweep.trials.spec.trial import TEST

SIGNIFICANCE = 0.05  # of the sign test; the interval of the gain is that of 95 %
TENTHS_BELOW = 0.95  # points; what rounds to one or more is told in whole points


class Sign(Enum):
    """What a gain says, for whoever colours it."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A gain in words.

    Attributes:
        sign: Which way it goes, as far as that is clear.
        headline: The answer: ``Gains about 4 points; this is not chance``.
        short: What is put behind the numbers: ``a gain, not chance``.
        reason: Why, in a sentence.
    """

    sign: Sign
    headline: str
    short: str
    reason: str


def judge(gain: Gain, *, untouched: bool = False) -> Verdict:
    """Judge a gain.

    It counts as more than chance where the 95 % interval leaves out zero and the sign test's p-value is below 0.05:
    both must say so. On the rows that the winner was picked on nothing is more than a hint, as the best of many looks
    good by chance alone.

    Args:
        gain: Of the winner over its baseline.
        untouched: Whether the winner is the untouched model itself.
    """
    if untouched:
        return Verdict(
            sign=Sign.UNCLEAR,
            headline="No gain: the untouched model wins",
            short="no gain",
            reason="No clip that was tried does better on the validation rows.",
        )
    if gain.split != TEST:
        return _untested(gain)
    if not is_clear(gain):
        return Verdict(
            sign=Sign.UNCLEAR, headline="No detectable gain", short="no detectable gain", reason=_why_unclear(gain)
        )
    verb, noun, sign = ("Gains", "gain", Sign.BETTER) if gain.estimate > 0 else ("Loses", "loss", Sign.WORSE)
    return Verdict(
        sign=sign,
        headline=f"{verb} about {about(gain.estimate)}; this is not chance",
        short=f"a {noun}, not chance",
        reason="Rows that played no part in the choice show it: the 95 % interval leaves out zero, and by chance alone "
        f"so uneven a split of the answers that changed would come up {_how_often(gain.p_value)}.",
    )


def is_clear(gain: Gain) -> bool:
    """Whether both the interval and the sign test say that a gain, or a loss, is more than chance."""
    return (gain.low > 0 or gain.high < 0) and gain.p_value < SIGNIFICANCE


def about(fraction: float) -> str:
    """The size of a difference in points, as one says it: ``4 points``, ``1 point``, ``0.4 points``."""
    points = abs(100 * fraction)
    if points < TENTHS_BELOW:
        return f"{points:.1f} points"
    whole = math.floor(points + 0.5)
    return f"{whole} point{'s' * (whole != 1)}"


def _untested(gain: Gain) -> Verdict:
    """The verdict where no test rows have been run."""
    reason = "On the rows that a winner is picked on the best of many looks good by chance alone. Test rows would tell."
    if not is_clear(gain) or gain.estimate <= 0:
        return Verdict(
            sign=Sign.UNCLEAR,
            headline="No detectable gain, and not tested",
            short="no detectable gain, not tested",
            reason=reason,
        )
    return Verdict(
        sign=Sign.UNCLEAR,
        headline=f"Not tested: about {about(gain.estimate)} more where it was picked, which may be chance",
        short="not tested, may be chance",
        reason=reason,
    )


def _why_unclear(gain: Gain) -> str:
    """What is missing to a clear gain."""
    if not (gain.low or gain.high or gain.estimate):
        return "Both models are right and wrong on the same test rows."
    return (
        f"The difference of {100 * gain.estimate:+.1f} points on test rows may be chance: "
        f"the 95 % interval runs from {100 * gain.low:+.1f} to {100 * gain.high:+.1f}."
    )


def _how_often(p_value: float) -> str:
    """A chance in words: ``once in 400 times``, or ``4 times in 100``."""
    if p_value < 1e-6:
        return "less than once in a million times"
    if p_value < 0.01:
        return f"once in {_rounded(1 / p_value):,} times"
    percent = max(1, math.floor(100 * p_value + 0.5))
    return f"{percent} time{'s' * (percent != 1)} in 100"


def _rounded(number: float) -> int:
    """A number to two digits."""
    digits = max(0, math.floor(math.log10(number)) - 1)
    return int(round(number, -digits))
