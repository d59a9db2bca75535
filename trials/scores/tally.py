"""What scores are counted from: sums over examples, so that the scores of all rows follow from those of parts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

CALIBRATION_BINS = 10
LARGEST_EXPONENT = 709.0  # beyond it a perplexity is no float64
Count = TypeVar("Count")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a trial scored over its examples; None where the task has no such score.

    Attributes:
        accuracy: Share of examples that were answered rightly.
        macro_f1: F1 averaged over the classes, each weighing the same.
        gold_logprob: Mean log-probability of the gold label, renormalised over the candidates where there are several;
            natural log. Where their scores are no log-likelihoods it is the logarithm of the softmax of these scores.
        calibration_error: Expected calibration error over 10 equal-width bins of the top candidate's probability.
        nll: Mean negative log-likelihood of a token of text; natural log.
        perplexity: Its exponential.
    """

    accuracy: float | None = None
    macro_f1: float | None = None
    gold_logprob: float | None = None
    calibration_error: float | None = None
    nll: float | None = None
    perplexity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelTally:
    """Of one class: how often it was predicted rightly, predicted, and right."""

    hits: int = 0
    predicted: int = 0
    gold: int = 0

    def __add__(self, other: LabelTally) -> LabelTally:
        """Both together."""
        return LabelTally(
            hits=self.hits + other.hits, predicted=self.predicted + other.predicted, gold=self.gold + other.gold
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Counts over some examples; those of two sets of examples are added.

    What one of the two does not count, both together do not: a part that an older version judged may count more.

    Attributes:
        examples: How many.
        right: How many predictions were right; 0 of text.
        gold_logprob: Sum of the gold label's log-probability, renormalised over the candidates where there are several;
            natural log.
        labels: For each class; empty where there are none.
        gaps: For each bin of the top candidate's probability, the sum of that probability less the right predictions;
            empty where there is one candidate, or scores tell no probability.
        loglikelihood: Of text, summed over its tokens; natural log.
        tokens: Of text, how many were scored; 0 where answers are.
    """

    examples: int
    right: int = 0
    gold_logprob: float = 0.0
    labels: tuple[LabelTally, ...] = ()
    gaps: tuple[float, ...] = ()
    loglikelihood: float = 0.0
    tokens: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Both sets of examples together."""
        return Tally(
            examples=self.examples + other.examples,
            right=self.right + other.right,
            gold_logprob=self.gold_logprob + other.gold_logprob,
            labels=tuple(mine + theirs for mine, theirs in _pairs(self.labels, other.labels)),
            gaps=tuple(mine + theirs for mine, theirs in _pairs(self.gaps, other.gaps)),
            loglikelihood=self.loglikelihood + other.loglikelihood,
            tokens=self.tokens + other.tokens,
        )

    @property
    def scores(self) -> Scores:
        """What the examples score; F1 is averaged over the classes that occur in gold labels or predictions."""
        if self.tokens:
            nll = -self.loglikelihood / self.tokens
            return Scores(nll=nll, perplexity=perplexity(nll))
        occurring = [each for each in self.labels if each.predicted + each.gold]
        f1 = [2 * each.hits / (each.predicted + each.gold) for each in occurring]
        return Scores(
            accuracy=self.right / self.examples,
            macro_f1=sum(f1) / len(f1) if f1 else None,
            gold_logprob=self.gold_logprob / self.examples,
            calibration_error=sum(map(abs, self.gaps)) / self.examples if self.gaps else None,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Tally:
        """Back from plain values."""
        labels = tuple(LabelTally(**each) for each in content["labels"])
        return cls(**{**content, "labels": labels, "gaps": tuple(content["gaps"])})


def _pairs(mine: tuple[Count, ...], theirs: tuple[Count, ...]) -> Iterator[tuple[Count, Count]]:
    """Counts of the same thing; none where one of the two has none."""
    return zip(mine, theirs, strict=bool(mine and theirs))


def perplexity(nll: float) -> float:
    """The exponential of a mean negative log-likelihood; the largest that a float64 holds where it is more."""
    return math.exp(min(nll, LARGEST_EXPONENT))
