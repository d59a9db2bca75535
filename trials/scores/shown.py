"""How scores and their differences are shown: shares as points, likelihoods in nats, of text with the perplexity."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.tally import perplexity

DIGITS = 4  # of a perplexity
LARGEST_WHOLE = 1e6  # a perplexity from here on is shown with an exponent


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """What differences of scores are told in.

    Attributes:
        words: What stands behind a number.
        factor: How many of it make one of the metric's own unit.
        digits: Behind the point.
    """

    words: str
    factor: float
    digits: int

    def number(self, difference: float) -> str:
        """A difference without the unit: ``+3.5``."""
        return f"{self.factor * difference:+.{self.digits}f}"

    def difference(self, difference: float) -> str:
        """A difference: ``+3.5 points``, or ``+0.0660 nats per token``."""
        return f"{self.number(difference)} {self.words}"

    def interval(self, low: float, high: float) -> str:
        """The ends of an interval, without the unit: ``+1.2 to +3.4``."""
        return f"{self.number(low)} to {self.number(high)}"


POINTS = Unit(words="points", factor=100, digits=1)
NATS = Unit(words="nats", factor=1, digits=3)
NATS_PER_TOKEN = Unit(words="nats per token", factor=1, digits=4)


def unit_of(metric: str) -> Unit:
    """What differences in a metric are told in."""
    told = METRICS[metric]
    if told.of_text:
        return NATS_PER_TOKEN
    return POINTS if told.unit == "fraction" else NATS


def score_words(metric: str, score: float) -> str:
    """A score to four digits, of text with the perplexity: ``0.7480``, or ``3.1528 (perplexity 23.40)``."""
    return f"{score:.4f}" + (f" (perplexity {perplexity_words(score)})" if METRICS[metric].of_text else "")


def perplexity_words(nll: float) -> str:
    """The perplexity of so many nats per token: ``23.40``, ``1,204``."""
    value = perplexity(nll)
    if value >= LARGEST_WHOLE:
        return f"{value:.{DIGITS}g}"
    whole = len(str(int(value)))
    return f"{value:,.{max(0, DIGITS - whole)}f}"


def gain_words(metric: str, gain: float) -> str:
    """A gain measured in a metric, better being above 0: ``accuracy +3.5 points``, or ``+0.0660 nats per token``."""
    return f"{'' if METRICS[metric].of_text else f'{metric} '}{unit_of(metric).difference(gain)}"


def loss_words(metric: str, loss: float) -> str:
    """What is lost: ``1 point``, ``0.5 points``, ``0.01 nats per token``."""
    unit = unit_of(metric)
    number = f"{unit.factor * loss:.4g}"
    return f"{number} {unit.words.replace('points', 'point') if number == '1' else unit.words}"


def allowance_words(metric: str, loss: float) -> str:
    """What may be lost at most, in the same words; ``none`` for 0."""
    return loss_words(metric, loss) if loss else "none"


def against_words(metric: str, score: float, other: float) -> str:
    """A score beside another: ``0.7480 against 0.7130``, or ``perplexity 21.91 against 23.40``."""
    if METRICS[metric].of_text:
        return f"perplexity {perplexity_words(score)} against {perplexity_words(other)}"
    return f"{score:.4f} against {other:.4f}"
