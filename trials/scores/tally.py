"""What scores are counted from: sums over examples, so that the scores of all rows follow from those of parts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

CALIBRATION_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """What a trial scored over its examples.

    Attributes:
        accuracy: Share of examples whose gold label scored highest.
        macro_f1: F1 averaged over the classes, each weighing the same.
        gold_logprob: Mean log-probability of the gold label, renormalised over the candidates; natural log.
        calibration_error: Expected calibration error over 10 equal-width bins of the top candidate's probability.
    """

    accuracy: float
    macro_f1: float
    gold_logprob: float
    calibration_error: float


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

    Attributes:
        examples: How many.
        right: How many predictions were right.
        gold_logprob: Sum of the gold label's log-probability, renormalised over the candidates; natural log.
        labels: For each class.
        gaps: For each bin of the top candidate's probability, the sum of that probability less the right predictions.
    """

    examples: int
    right: int
    gold_logprob: float
    labels: tuple[LabelTally, ...]
    gaps: tuple[float, ...]

    def __add__(self, other: Tally) -> Tally:
        """Both sets of examples together."""
        return Tally(
            examples=self.examples + other.examples,
            right=self.right + other.right,
            gold_logprob=self.gold_logprob + other.gold_logprob,
            labels=tuple(mine + theirs for mine, theirs in zip(self.labels, other.labels, strict=True)),
            gaps=tuple(mine + theirs for mine, theirs in zip(self.gaps, other.gaps, strict=True)),
        )

    @property
    def scores(self) -> Scores:
        """What the examples score; F1 is averaged over the classes that occur in gold labels or predictions."""
        occurring = [each for each in self.labels if each.predicted + each.gold]
        return Scores(
            accuracy=self.right / self.examples,
            macro_f1=sum(2 * each.hits / (each.predicted + each.gold) for each in occurring) / len(occurring),
            gold_logprob=self.gold_logprob / self.examples,
            calibration_error=sum(map(abs, self.gaps)) / self.examples,
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def of_json(cls, content: dict[str, Any]) -> Tally:
        """Back from plain values."""
        labels = tuple(LabelTally(**each) for each in content["labels"])
        return cls(**{**content, "labels": labels, "gaps": tuple(content["gaps"])})
