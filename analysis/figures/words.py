"""How figures word scores, gains and the panels that they have."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis
from clipsweep.trials.scores.metrics import ACCURACY, METRICS, Metric
from clipsweep.trials.scores.shown import POINTS, Unit, score_words, unit_of

if TYPE_CHECKING:
    import pandas

SUBJECT = ("study", "model", "task", "variant", "dtype")  # columns that say what was studied
LEAST_POINTS, LEAST_NATS = 2.0, 0.02  # that an axis shows at least, so that a tenth of a point does not look like much
LESS = "less is better"
RATE_DIGITS = 3  # of clip rates that somebody has chosen; those that a search draws have more
FEW_RATES = 12  # up to so many clip rates are evenly spaced, as the paper has them
Parts = Iterator[tuple[str, "pandas.DataFrame"]]


def in_words(metric: str) -> str:
    """A column of scores as a reader sees it: ``macro f1``."""
    return metric.replace("_", " ")


def percent(share: float) -> str:
    """A score: ``74.8 %``."""
    return f"{100 * share:.1f} %"


def in_points(gain: float) -> str:
    """A difference of two scores: ``+3.5 points``."""
    return POINTS.difference(gain)


def few_letters(gain: float) -> str:
    """The same for a small place: ``+14``, ``+0.3`` below ten points, and ``0`` for what rounds to it."""
    tenths = round(100 * gain, 1)
    return "0" if not tenths else f"{100 * gain:+.0f}" if abs(tenths) >= 10 else f"{tenths:+.1f}"


def metric_of(points: pandas.DataFrame) -> str:
    """The column of scores that points are judged by."""
    return str(points.attrs.get("metric", "accuracy"))


@dataclass(frozen=True, slots=True)
class Scale:
    """How scores in a metric are worded and drawn: shares in percent and points, likelihoods in nats.

    Attributes:
        metric: Column of scores.
    """

    metric: str

    @property
    def of(self) -> Metric:
        """The metric itself."""
        return METRICS[self.metric]

    @property
    def unit(self) -> Unit:
        """What differences are told in."""
        return unit_of(self.metric)

    @property
    def of_gains(self) -> Scale:
        """The scale of what ``gain`` and ``within_noise`` of a point are measured in."""
        return Scale(self.of.gained)

    @property
    def words(self) -> str:
        """The metric as a reader sees it."""
        return in_words(self.metric)

    @property
    def is_share(self) -> bool:
        """Whether scores lie between 0 and 1."""
        return self.of.unit == "fraction"

    @property
    def is_accuracy(self) -> bool:
        """Whether it is what the paper published."""
        return self.metric == ACCURACY

    @property
    def has_noise(self) -> bool:
        """Whether gains in it are those that ``gain`` and ``within_noise`` of a point are about."""
        return self.of.tells_gains

    def score(self, value: float) -> str:
        """A score: ``74.8 %``, ``-1.137 nats``, or ``3.1528 (perplexity 23.40)``."""
        if self.of.of_text:
            return score_words(self.metric, value)
        return percent(value) if self.is_share else f"{value:.3f} nats"

    def gain(self, value: float) -> str:
        """A difference of two scores, better being above 0: ``+3.5 points``, or ``+0.012 nats``."""
        return self.unit.difference(value)

    def few_letters(self, gain: float) -> str:
        """The same for a small place: ``+14`` points, ``+0.012`` nats, ``0`` for what rounds to it."""
        if self.is_share:
            return few_letters(gain)
        return f"{gain:+.{3 if abs(gain) < 1 else 1}f}" if round(gain, 3) else "0"

    def goodness(self, scores: pandas.Series[float]) -> pandas.Series[float]:
        """Scores, turned so that more is better."""
        return -scores if self.of.lower_is_better else scores

    def above(self, scores: pandas.Series[float], others: pandas.Series[float]) -> pandas.Series[float]:
        """By how much scores are better than others."""
        return self.goodness(scores - others)

    def axis(self, title: str) -> Axis:
        """The axis of scores."""
        if self.is_share:
            return Axis(title=title, percent=True)
        less = f", {LESS}" if self.of.lower_is_better else ""
        return Axis(title=f"{title}, {self.unit.words}{less}", least=LEAST_NATS)

    def gain_axis(self) -> Axis:
        """The axis of gains, as ``shown`` has them."""
        least = LEAST_POINTS if self.is_share else LEAST_NATS
        return Axis(title=f"{self.gain_words}, {self.unit.words}", least=least)

    @property
    def score_above(self) -> str:
        """What comes before "that of the untouched model" where gains are drawn: ``Score above``."""
        return "Fall of nll below" if self.of.lower_is_better else "Score above"

    @property
    def gain_words(self) -> str:
        """What a gain is, better being above 0: ``gain in accuracy``, ``fall of nll``."""
        return f"{'fall of' if self.of.lower_is_better else 'gain in'} {self.words}"

    def shown(self, values: pandas.Series[float]) -> list[float]:
        """Differences of scores as the axis of gains has them."""
        shown: list[float] = (self.unit.factor * values).tolist()
        return shown

    def by_chance(self, points: pandas.DataFrame) -> list[tuple[pandas.DataFrame, str, str]]:
        """Points that may be chance, and the others, each with their name and colour.

        All are one in a metric that gains are not measured in, as no other gain is known with its noise.
        """
        if not self.has_noise:
            return [(points, "clipped", "complete")]
        chance = points["within_noise"]
        return [(points[chance], "may be chance", "faint"), (points[~chance], "beyond chance", "complete")]


def scale_of(points: pandas.DataFrame) -> Scale:
    """How the scores are worded that points are judged by."""
    return Scale(metric_of(points))


def distinct(names: Sequence[str]) -> list[str]:
    """Names with a number behind all but the first of those that read alike, as axes and legends need them."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found


def parts_of(points: pandas.DataFrame, columns: Sequence[str]) -> Parts:
    """The points of each combination of some columns, with a title of what tells it from the others.

    Args:
        points: With these columns; null is a value like others.
        columns: From the coarsest, such as ``SUBJECT`` and more.

    Yields:
        The title, empty for one part alone, and its rows.
    """
    varying = [name for name in columns if points[name].nunique(dropna=False) > 1]
    if "study" in varying:  # what its name decides need not be said again
        most = points.groupby("study")[varying].nunique(dropna=False).max()
        varying = ["study", *(name for name in varying if most[name] > 1)]
    for values, part in points.groupby(list(columns), sort=False, dropna=False):
        by_name = dict(zip(columns, values, strict=True))
        yield ", ".join(_word(name, by_name[name]) for name in varying), part


def model_name(model: str) -> str:
    """The last part of a folder's path, or of a hub name; links are not followed."""
    return Path(os.path.abspath(Path(model).expanduser())).name


def _word(column: str, value: object) -> str:
    if column == "shots":
        return f"{value} shot{'s' * (value != 1)}"
    text = str(value)
    if column == "model":
        return model_name(text)
    return f"kind {text}" if column == "kind" else text


def rate_words(rates: Sequence[float]) -> list[str] | None:
    """Clip rates as words of an axis, ascending; None where there are too many for that, or a search drew them."""
    found = sorted(set(rates))
    were_chosen = all(rate == round(rate, RATE_DIGITS) for rate in found)
    return [f"{rate:g}" for rate in found] if were_chosen and len(found) <= FEW_RATES else None
