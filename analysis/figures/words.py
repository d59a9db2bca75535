"""How figures word scores, gains and the panels that they have."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis

if TYPE_CHECKING:
    import pandas

SUBJECT = ("study", "model", "task", "variant", "dtype")  # columns that say what was studied
NATS = {"gold_logprob"}  # metrics that are mean log-probabilities; others are shares
LEAST_POINTS, LEAST_NATS = 2.0, 0.02  # that an axis shows at least, so that a tenth of a point does not look like much
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
    return f"{100 * gain:+.1f} points"


def few_letters(gain: float) -> str:
    """The same for a small place: ``+14``, ``+0.3`` below ten points, and ``0`` for what rounds to it."""
    tenths = round(100 * gain, 1)
    return "0" if not tenths else f"{100 * gain:+.0f}" if abs(tenths) >= 10 else f"{tenths:+.1f}"


def metric_of(points: pandas.DataFrame) -> str:
    """The column of scores that points are judged by."""
    return str(points.attrs.get("metric", "accuracy"))


@dataclass(frozen=True, slots=True)
class Scale:
    """How scores in a metric are worded and drawn: shares in percent and points, log-probabilities in nats.

    Attributes:
        metric: Column of scores.
    """

    metric: str

    @property
    def words(self) -> str:
        """The metric as a reader sees it."""
        return in_words(self.metric)

    @property
    def is_share(self) -> bool:
        """Whether scores lie between 0 and 1."""
        return self.metric not in NATS

    @property
    def is_accuracy(self) -> bool:
        """Whether gains in it are those that ``gain`` and ``within_noise`` of a point are about."""
        return self.metric == "accuracy"

    def score(self, value: float) -> str:
        """A score: ``74.8 %``, or ``-1.137 nats``."""
        return percent(value) if self.is_share else f"{value:.3f} nats"

    def gain(self, value: float) -> str:
        """A difference of two scores: ``+3.5 points``, or ``+0.012 nats``."""
        return in_points(value) if self.is_share else f"{value:+.3f} nats"

    def axis(self, title: str) -> Axis:
        """The axis of scores."""
        if self.is_share:
            return Axis(title=title, percent=True)
        return Axis(title=f"{title}, nats", least=LEAST_NATS)

    def gain_axis(self) -> Axis:
        """The axis of ``gains``."""
        unit, least = ("points", LEAST_POINTS) if self.is_share else ("nats", LEAST_NATS)
        return Axis(title=f"gain in {self.words}, {unit}", least=least)

    def gains(self, values: pandas.Series[float]) -> list[float]:
        """Differences of scores as the axis of gains has them."""
        shown: list[float] = (100 * values if self.is_share else values).tolist()
        return shown

    def by_chance(self, points: pandas.DataFrame) -> list[tuple[pandas.DataFrame, str, str]]:
        """Points that may be chance, and the others, each with their name and colour.

        All are one in a metric other than accuracy, as no other gain is known with its noise.
        """
        if not self.is_accuracy:
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
