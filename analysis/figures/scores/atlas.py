"""Gain of each layer at each clip rate, as a map of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clipsweep.analysis.drawing.chart import Axis, Chart, Heat, Panel
from clipsweep.analysis.figures.words import SUBJECT, in_points, parts_of, rate_words, whole_points

if TYPE_CHECKING:
    import pandas

BINS = 10  # of clip rates, where there are too many for a column each
CAPTION = (
    "Gain in accuracy over the untouched model on the same validation rows, in percentage points, of each layer that "
    "is clipped alone, at each clip rate. Grey cells differ from it by no more than may be chance (1.96 standard "
    "errors of the paired difference); a hole was not tried."
)


def atlas_chart(points: pandas.DataFrame) -> Chart | None:
    """A panel for each task, model, kind, module and number of demonstrations: a row a layer, a column a clip rate.

    Args:
        points: As ``clipsweep.points`` gives them.

    Returns:
        None where no layer was clipped alone.
    """
    clipped = points[points["place"].notna() & points["clip_rate"].notna() & points["gain"].notna()]
    if clipped.empty:
        return None
    words = rate_words(clipped["clip_rate"].tolist())
    if words is None:
        columns = [f"{number / BINS:g}-{(number + 1) / BINS:g}" for number in range(BINS)]
        column = [columns[min(int(rate * BINS), BINS - 1)] for rate in clipped["clip_rate"]]
    else:
        columns, column = words, [f"{rate:g}" for rate in clipped["clip_rate"]]
    clipped = clipped.assign(column=column)
    keys = [*SUBJECT, "shots", "kind", "module"]
    panels = [
        _panel(title or str(part["module"].iloc[0]), part, columns)
        for title, part in parts_of(clipped.sort_values("shots", kind="stable"), keys)
    ]
    binned = "" if words else " Where several rates fall into a cell, it has their mean."
    return Chart(
        name="atlas",
        title="Gain of each layer at each clip rate",
        caption=CAPTION + binned,
        panels=panels,
        columns=min(len(panels), max(2, min(clipped["module"].nunique(), 3))),
    )


def _panel(title: str, part: pandas.DataFrame, columns: Sequence[str]) -> Panel:
    rows = part.sort_values(["layer", "place"], kind="stable")["place"].unique().tolist()
    names = [place.partition(" ")[2] for place in rows]
    shape = len(rows), len(columns)
    z, muted = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    labels, texts = np.full(shape, "", dtype=object), np.full(shape, "not tried", dtype=object)
    for (place, column), cell in part.groupby(["place", "column"], sort=False):
        at = rows.index(place), columns.index(column)
        gain = float(cell["gain"].mean())
        chance = bool(cell["within_noise"].all())
        z[at], muted[at], labels[at] = 100 * gain, chance, whole_points(gain)
        stopped = "" if (cell["state"] == "complete").any() else ", on the rows seen before it was stopped"
        texts[at] = f"{place} at clip rate {column}: {in_points(gain)}{', may be chance' if chance else ''}{stopped}"
    return Panel(
        title=title,
        x=Axis(title="clip rate", kind="category", categories=tuple(columns)),
        y=Axis(title="layer", kind="category", categories=tuple(names)),
        marks=[
            Heat(
                x=columns,
                y=names,
                z=z.tolist(),
                muted=muted.tolist(),
                name="gain in accuracy, points",
                labels=labels.tolist(),
                texts=texts.tolist(),
            )
        ],
    )
