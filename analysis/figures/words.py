"""How figures word scores, gains and the panels that they have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis

if TYPE_CHECKING:
    import pandas

SUBJECT = ("study", "model", "task", "variant", "dtype")  # columns that say what was studied
LEAST_POINTS = 2.0  # that an axis of gains shows, so that a tenth of a point does not look like much
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


def in_hundredths(gains: pandas.Series[float]) -> list[float]:
    """Differences of scores in points, as an axis has them."""
    points: list[float] = (100 * gains).tolist()
    return points


def gain_axis(metric: str) -> Axis:
    """The axis of differences in a metric, in points."""
    return Axis(title=f"gain in {in_words(metric)}, points", least=LEAST_POINTS)


def whole_points(gain: float) -> str:
    """The same for a small place: ``+4``, and ``0`` for what rounds to it."""
    return f"{rounded:+d}" if (rounded := round(100 * gain)) else "0"


def metric_of(points: pandas.DataFrame) -> str:
    """The column of scores that points are judged by."""
    return str(points.attrs.get("metric", "accuracy"))


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
    """The last part of a path or of a hub name."""
    return model.rstrip("/").rpartition("/")[2]


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
