"""The metrics that points are judged by: the unit of each, and whether more of it is better."""

from __future__ import annotations

from dataclasses import dataclass

ACCURACY, MACRO_F1, NLL = "accuracy", "macro_f1", "nll"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A column of scores.

    Attributes:
        name: Of the column.
        unit: Of its values: ``"fraction"``, or ``"nats"``.
        lower_is_better: Whether less of it is better.
        of_text: Whether it is told of texts; else of answers that are right or wrong.
    """

    name: str
    unit: str
    lower_is_better: bool = False
    of_text: bool = False

    @property
    def gained(self) -> str:
        """The metric that gains are measured in, example by example, whatever points are judged by."""
        return NLL if self.of_text else ACCURACY

    @property
    def tells_gains(self) -> bool:
        """Whether gains are measured in it."""
        return self.name == self.gained

    def goodness(self, score: float) -> float:
        """The score, turned so that more is better: what points are compared by. Turned again it is the score."""
        return -score if self.lower_is_better else score


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(name=ACCURACY, unit="fraction"),
        Metric(name=MACRO_F1, unit="fraction"),
        Metric(name="gold_logprob", unit="nats"),
        Metric(name=NLL, unit="nats", lower_is_better=True, of_text=True),
    )
}
OF_ANSWERS = tuple(name for name, metric in METRICS.items() if not metric.of_text)
