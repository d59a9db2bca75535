"""How far a model's confidence can be trusted: calibration error against clip rate, and reliability curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.drawing.chart import Axis, Chart, ColorBar, Level, Line, Mark, Panel
from clipsweep.analysis.figures.answers.best_points import PointRow, best_by_task, rows_of, short_label, titled
from clipsweep.analysis.figures.words import SUBJECT, parts_of, rate_words, scale_of
from clipsweep.analysis.frames.matrices import margins
from clipsweep.trials.scores.tally import CALIBRATION_BINS

if TYPE_CHECKING:
    import pandas

TOLERANCE = 1e-3  # of half precision, in which margins are stored
FEWEST = 5  # examples of a bin whose share of right answers is drawn
FEW_LINES = 6  # of a panel that has room for a label at the end of each
CAPTION = (
    "Expected calibration error on validation: how far the probability of the answer given, renormalised over the "
    "candidates, is from the share of right answers, over ten bins of equal width; 0 is best. A line for each layer, "
    "coloured by its depth."
)
RELIABILITY = (
    " Reliability of two-label tasks: of the answers given with that probability, the share that is right: on "
    "test where the untouched model and the best clip have both run there, else on validation. A line below the "
    "diagonal is overconfident. Bins of fewer than five examples are left out."
)


def calibration_chart(trials: pandas.DataFrame, points: pandas.DataFrame) -> Chart | None:
    """Calibration error by clip rate for each study, number of shots, kind and module, and reliability of the best.

    Args:
        trials: As ``trial_frame`` makes them.
        points: Of the same studies, as ``point_frame`` makes them.

    Returns:
        None where nothing is complete, or where there are no labels to be sure of, as of texts.
    """
    if scale_of(points).of.of_text:
        return None
    errors = _error_panels(trials, points)
    layers = points["layer"].dropna()
    bar = ColorBar(title="layer", low=float(layers.min()), high=float(layers.max())) if errors else None
    groups = best_by_task(trials, points, 1)
    curves = [panel for title, held in groups if (panel := _reliability(title, held, trials)) is not None]
    if not errors and not curves:
        return None
    caption = CAPTION * bool(errors) + RELIABILITY * bool(curves)
    return Chart(
        name="calibration",
        title="Calibration",
        caption=caption.strip(),
        panels=[*errors, *curves],
        color_bar=bar,
    )


def _error_panels(trials: pandas.DataFrame, points: pandas.DataFrame) -> list[Panel]:
    """A panel for each study, number of shots, kind and module."""
    complete = points[points["state"] == "complete"]
    known = dict(zip(trials["trial_id"], trials["calibration_error"], strict=True))
    errors = [fmean(known[each] for each in trial_ids) for trial_ids in complete["trial_ids"]]
    complete = complete.assign(error=errors)
    clipped = complete[complete["place"].notna() & complete["clip_rate"].notna() & complete["error"].notna()]
    untouched = complete[complete["is_baseline"]].set_index([*SUBJECT, "shots"])["error"]
    return [
        _error_panel(
            titled(title, "calibration error"),
            part,
            untouched[untouched.index == tuple(part.iloc[0][[*SUBJECT, "shots"]])],
        )
        for title, part in parts_of(clipped.sort_values("shots", kind="stable"), (*SUBJECT, "shots", "kind", "module"))
    ]


def _error_panel(title: str, held: pandas.DataFrame, untouched: pandas.Series[float]) -> Panel:
    """Calibration error by clip rate, a line for each layer or range."""
    rates = rate_words(held["clip_rate"].tolist())
    marks: list[Mark] = []
    lines = held.groupby(["place", "layer"])
    for (place, layer), line in lines:
        line = line.sort_values("clip_rate")
        marks.append(
            Line(
                x=line["clip_rate"].tolist() if rates is None else line["clip_rate"].map("{:g}".format).tolist(),
                y=line["error"].tolist(),
                name=place,
                color=float(layer),
                in_legend=False,
                end_label=place if lines.ngroups <= FEW_LINES else None,
            )
        )
    marks += [Level(y=float(error), name="untouched") for error in untouched.head(1)]
    return Panel(
        title=title,
        x=Axis(title="clip rate", kind="category", categories=tuple(rates)) if rates else Axis(title="clip rate"),
        y=Axis(title="calibration error on validation"),
        marks=marks,
    )


def _reliability(title: str, held: list[PointRow], trials: pandas.DataFrame) -> Panel | None:
    """Share of right answers by their probability, untouched and best; None where margins do not tell it."""
    on_test = all(len(point["test_ids"]) for point in held)
    answers = [rows_of(trials, point["test_ids" if on_test else "trial_ids"]) for point in held]
    if not all(map(_tells_probabilities, answers)):
        return None
    split = "test" if on_test else "validation"
    diagonal = Line(x=[0.5, 1.0], y=[0.5, 1.0], name="as sure as right", color="baseline", dashed=True, marked=False)
    curves = [
        Line(
            x=[bin_.confidence for bin_ in bins],
            y=[bin_.right for bin_ in bins],
            name=_curve_name(point),
            color="before" if point["is_baseline"] else "best" if point["is_best"] else "after",
            texts=[f"{short_label(point)}: {bin_.count} examples" for bin_ in bins],
        )
        for point, rows in zip(held, answers, strict=True)
        for bins in [list(reliability_bins(margins(rows).ravel()))]
    ]
    return Panel(
        title=titled(title, f"reliability on {split}"),
        x=Axis(title="probability of the answer given", percent=True, low=0.5, high=1.0),
        y=Axis(title="share of right answers", percent=True),
        marks=[diagonal, *curves],
    )


def _curve_name(point: PointRow) -> str:
    """Whose answers a curve is of, and whether that won at its number of shots."""
    name = "answers untouched" if point["is_baseline"] else "answers of the best clip"
    return f"{name} (winner)" if point["is_winner"] else name


def _tells_probabilities(rows: pandas.DataFrame) -> bool:
    """Whether margins tell the probability of an answer, as they do where a task has two labels.

    Of two labels the right one has the probability ``sigmoid(margin)``, so that the stored mean of its logarithm
    follows from the margins. With more labels it is less.
    """
    if not (rows["margins"].notna().all() and rows["calibration_error"].notna().all()):
        return False
    told = -np.logaddexp(0, -margins(rows)).mean(axis=1)
    stored = rows["gold_logprob"].to_numpy(dtype=float)
    return bool(np.all(np.abs(told - stored) <= TOLERANCE * (1 + np.abs(stored))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Examples that a model is about as sure of.

    Attributes:
        confidence: Mean probability of the answer given.
        right: Share of right answers.
        count: How many examples.
    """

    confidence: float
    right: float
    count: int


def reliability_bins(margin: NDArray[np.float64]) -> Iterator[Bin]:
    """Bins of a task of two labels, of equal width; those of fewer than ``FEWEST`` examples are left out.

    Args:
        margin: How far the right label was ahead, as a difference of natural logarithms: shape ``(n,)``.
    """
    confidence = 1 / (1 + np.exp(-np.abs(margin)))
    number = np.clip(np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1, 0, CALIBRATION_BINS - 1)
    for each in np.unique(number):
        chosen = number == each
        if chosen.sum() >= FEWEST:
            yield Bin(
                confidence=float(confidence[chosen].mean()),
                right=float((margin[chosen] > 0).mean()),
                count=int(chosen.sum()),
            )
