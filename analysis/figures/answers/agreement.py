"""Which examples flip: how often the best trials answer as the untouched model does, and as each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.drawing.chart import Axis, Bars, Chart, Heat, Panel
from clipsweep.analysis.figures.answers.best_points import (
    axis_labels,
    best_by_task,
    key_of,
    names_of,
    rows_of,
    titled,
)
from clipsweep.analysis.figures.words import percent, scale_of
from clipsweep.analysis.frames.matrices import outcomes

if TYPE_CHECKING:
    import pandas

MOST = 8  # points beside the untouched model
LEAST_ANSWERS = 2.0  # that an axis of them shows, also where none turned
CAPTION = (
    "First: share of validation examples on which two of the best points, or one and the untouched model, are both "
    "right or both wrong. Then: how many answers each point turns to right, and how many to wrong, against the "
    "untouched model, over all demonstration seeds. Where two points score alike and yet differ on many examples, what "
    "they gain is likely chance."
)


def agreement_chart(trials: pandas.DataFrame, points: pandas.DataFrame) -> Chart | None:
    """Agreement of the best points of each study and number of shots, as a heat map, with the examples they turn.

    Args:
        trials: As ``trial_frame`` makes them.
        points: Of the same studies, as ``point_frame`` makes them.

    Returns:
        None where no two points have been evaluated on the same rows, or these are texts, which nobody answers.
    """
    if scale_of(points).of.of_text:
        return None
    panels: list[Panel] = []
    keys = [CAPTION]
    for title, held in best_by_task(trials, points, MOST):
        names = names_of(held)
        labels = axis_labels(names)
        key = key_of(labels, names)
        keys += [titled(title, key)] if key else []
        right = np.stack([outcomes(rows_of(trials, point["trial_ids"])).ravel() for point in held])  # of all seeds
        panels += [_agreement(title, labels, names, right), _turned(title, labels, names, right)]
    if not panels:
        return None
    return Chart(name="agreement", title="Which examples flip", caption=" ".join(keys), panels=panels, same_y=False)


def _agreement(title: str, labels: list[str], names: list[str], right: NDArray[np.bool_]) -> Panel:
    """Share of examples that each two answer alike; the first is the untouched model, in the upper left corner."""
    alike = np.mean(right[:, None] == right[None], axis=2)
    upward = labels[::-1]
    shares = alike[::-1].tolist()
    return Panel(
        title=titled(title, "answered alike"),
        x=Axis(title="", kind="category", categories=tuple(labels)),
        y=Axis(title="", kind="category", categories=tuple(upward)),
        marks=[
            Heat(
                x=labels,
                y=upward,
                z=shares,
                name="share of examples",
                centered=False,
                percent=True,
                labels=[[_in_cell(share) for share in row] for row in shares],
                texts=[[f"{one} and {other}: {percent(share)}" for other, share in zip(names, row, strict=True)]
                       for one, row in zip(names[::-1], shares, strict=True)],
            )
        ],
    )  # fmt: skip


def _in_cell(share: float) -> str:
    """A share for a small place; what is not all of them never reads 100."""
    return f"{100 * share:.1f}" if 0.995 <= share < 1 else f"{100 * share:.0f}"


def _turned(title: str, labels: list[str], names: list[str], right: NDArray[np.bool_]) -> Panel:
    """Answers that each point turns to right, and to wrong."""
    untouched, clipped = right[0], right[1:]
    gained, lost = (np.sum(turned, axis=1).tolist() for turned in (clipped & ~untouched, untouched & ~clipped))
    return Panel(
        title=titled(title, "answers turned"),
        x=Axis(title="", kind="category", categories=tuple(labels[1:])),
        y=Axis(title="validation answers", low=0.0, least=LEAST_ANSWERS),
        marks=[
            Bars(x=labels[1:], y=gained, name="turned to right", color="gained", texts=names[1:]),
            Bars(x=labels[1:], y=lost, name="turned to wrong", color="lost", texts=names[1:]),
        ],
    )
