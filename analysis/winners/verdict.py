"""What a gain means in words: whether it may be chance, before any number."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from clipsweep.analysis.winners.gain import Gain
from clipsweep.analysis.winners.point import ONE_STANDARD_ERROR
from clipsweep.analysis.winners.standings import Rivals, Winner
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import perplexity_words, unit_of
from clipsweep.trials.spec.trial import TEST

SIGNIFICANCE = 0.05  # of the sign test; the interval of the gain is that of 95 %
SURE = 0.001  # p-value below which a difference is called no chance
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
        headline: The answer: ``Gains about 4 points; this is not chance``, or of text ``Perplexity falls from …``.
        short: What is put behind the numbers: ``a gain, not chance``.
        reason: Why, in a sentence.
    """

    sign: Sign
    headline: str
    short: str
    reason: str


def judge_winner(winner: Winner) -> Verdict:
    """Judge what a winner gains; where that is the untouched model, say what it won against."""
    if winner.rivals is None:
        return judge(winner.gain, winner.test_scores or (winner.score, winner.baseline_score))
    return _no_gain(winner.rivals, winner.point.rule)


def judge(gain: Gain, scores: tuple[float, float] | None = None) -> Verdict:
    """Judge a gain of a clipped model over its baseline.

    It counts as more than chance where the 95 % interval leaves out zero and the sign test's p-value is below 0.05:
    both must say so. Only far below is it called no chance. On the rows that the winner was picked on nothing is more
    than a hint, as the best of many looks good by chance alone.

    Args:
        gain: Over the untouched model.
        scores: Of text, what both score where it was measured; None where that is not known.
    """
    if gain.split != TEST:
        return _untested(gain, scores)
    if not is_clear(gain):
        return Verdict(
            sign=Sign.UNCLEAR, headline="No detectable gain", short="no detectable gain", reason=_why_unclear(gain)
        )
    noun, sign = ("gain", Sign.BETTER) if gain.estimate > 0 else ("loss", Sign.WORSE)
    is_sure = gain.p_value < SURE
    return Verdict(
        sign=sign,
        headline=f"{_what_happens(gain, scores)}; {'this is not' if is_sure else 'unlikely to be'} chance",
        short=f"a {noun}, {'not' if is_sure else 'unlikely to be'} chance",
        reason="Rows that played no part in the choice show it: the 95 % interval leaves out zero, and "
        f"{_by_chance(gain)}.",
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


def _what_happens(gain: Gain, scores: tuple[float, float] | None) -> str:
    """How a headline begins: ``Gains about 4 points``, or ``Perplexity falls from 23.40 to 21.91 (…)``."""
    if METRICS[gain.metric].of_text:
        return f"Perplexity {_change(gain, scores)}"
    return f"{'Gains' if gain.estimate > 0 else 'Loses'} about {about(gain.estimate)}"


def _change(gain: Gain, scores: tuple[float, float] | None) -> str:
    """How the perplexity changes: ``falls from 23.40 to 21.91 (0.0658 nats per token less)``."""
    verb, more = ("falls", "less") if gain.estimate > 0 else ("rises", "more")
    ends = f"by {100 * abs(math.expm1(-gain.estimate)):.1f} %"
    if scores is not None:
        after, before = map(perplexity_words, scores)
        ends = f"from {before} to {after}"
    return f"{verb} {ends} ({unit_of(gain.metric).difference(abs(gain.estimate)).lstrip('+')} {more})"


def _untested(gain: Gain, scores: tuple[float, float] | None) -> Verdict:
    """The verdict where no test rows have been run."""
    reason = "On the rows that a winner is picked on the best of many looks good by chance alone. Test rows would tell."
    if not is_clear(gain) or gain.estimate <= 0:
        return Verdict(
            sign=Sign.UNCLEAR,
            headline="No detectable gain, and not tested",
            short="no detectable gain, not tested",
            reason=reason,
        )
    more = f"about {about(gain.estimate)} more"
    if METRICS[gain.metric].of_text:
        more = f"perplexity {_change(gain, scores)}"
    return Verdict(
        sign=Sign.UNCLEAR,
        headline=f"Not tested: {more} where it was picked, which may be chance",
        short="not tested, may be chance",
        reason=reason,
    )


def _why_unclear(gain: Gain) -> str:
    """What is missing to a clear gain."""
    if not (gain.low or gain.high or gain.estimate):
        if METRICS[gain.metric].of_text:
            return "Both models give each test window the same likelihood."
        return "Both models are right and wrong on the same test rows."
    unit, what = unit_of(gain.metric), "gain" if METRICS[gain.metric].of_text else "difference"
    interval = f"the 95 % interval runs from {unit.interval(gain.low, gain.high)}"
    may_be = f"The {what} of {unit.difference(gain.estimate)} on test rows may be chance: "
    if gain.low > 0 or gain.high < 0:
        return f"{may_be}{_by_chance(gain)} (p = {gain.p_value:.2g}), although {interval} and leaves out zero."
    return f"{may_be}{interval}."


def _by_chance(gain: Gain) -> str:
    """What the sign test says."""
    often = _how_often(gain.p_value)
    what = "windows that became likelier or less likely" if METRICS[gain.metric].of_text else "answers that changed"
    return f"by chance alone so uneven a split of the {what} would come up {often}"


def _no_gain(rivals: Rivals, rule: str) -> Verdict:
    """The verdict where the untouched model is the best."""
    headline, short = "No gain: the untouched model wins", "no gain"
    if rivals.none_yet:
        headline, short = "No winner yet", "no clip is complete yet"
        reason = "Of the clips none is complete, so that there is nothing to compare the untouched model with."
    elif rivals.complete and rule == ONE_STANDARD_ERROR:
        reason = "Of the points within one standard error of the best none keeps fewer parameters."
    elif rivals.complete:
        reason = "No clip that was tried does better on the validation rows."
    elif rivals.passed_over:
        reason = "The composition kept no clip: a step keeps its best if that gains more than 'search.min_gain'."
    elif rivals.stopped:
        failed = f", and {rivals.failed:,} failed" if rivals.failed else ""
        reason = f"No clip came as far as all validation rows: a race stopped {rivals.stopped:,}{failed}."
    else:
        headline, short = "No answer: every clip failed", "every clip failed"
        reason = "No clip has a score. Below stands what went wrong; 'clipsweep run' tries them again."
    return Verdict(sign=Sign.UNCLEAR, headline=headline, short=short, reason=reason)


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
