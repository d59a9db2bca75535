"""Gain of each layer at each clip rate, as a map of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from clipsweep.analysis.drawing.chart import Axis, Chart, Heat, Panel
from clipsweep.analysis.figures.words import SUBJECT, Scale, parts_of, rate_words, scale_of

if TYPE_CHECKING:
    import pandas

BINS = 10  # of clip rates, where there are too many for a column each
GAIN = "Gain in accuracy over the untouched model on the same validation rows, in percentage points,"
GAIN_OF_TEXT = "Fall of nll below the untouched model's on the same windows of validation, in nats per token,"
CAPTION = (
    "{gain} of each layer that is clipped alone, at each clip rate. Grey cells differ from it by no more than may be "
    "chance (1.96 standard errors of the paired difference); a hole was not tried."
)
STOPPED_MARK = "*"
STOPPED_CAPTION = " Asterisk: stopped early; the gain is {which}, and grey is judged by the rows seen."
EXPECTED, SEEN = "the one expected on all rows", "that on the rows seen"  # gain of a trial that was stopped


def atlas_chart(points: pandas.DataFrame) -> Chart | None:
    """A panel for each task, model, kind, module and number of demonstrations: a row a layer, a column a clip rate.

    Args:
        points: As ``clipsweep.points`` gives them.

    Returns:
        None where no layer was clipped alone.
    """
    scale = scale_of(points)
    shown = scale.above(points["estimate"], points["baseline"]).fillna(points["gain"])
    clipped = points.assign(shown=shown)[points["place"].notna() & points["clip_rate"].notna() & shown.notna()]
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
    which = EXPECTED if scale.has_noise else SEEN
    panels = [
        _panel(title or str(part["module"].iloc[0]), part, columns, which, scale.of_gains)
        for title, part in parts_of(clipped.sort_values("shots", kind="stable"), keys)
    ]
    stopped = STOPPED_CAPTION.format(which=which) if (clipped["state"] != "complete").any() else ""
    binned = "" if words else " Where several rates fall into a cell, it has their mean."
    return Chart(
        name="atlas",
        title="Gain of each layer at each clip rate",
        caption=CAPTION.format(gain=GAIN_OF_TEXT if scale.of.of_text else GAIN) + stopped + binned,
        panels=panels,
        columns=min(len(panels), max(2, min(clipped["module"].nunique(), 3))),
    )


def _panel(title: str, part: pandas.DataFrame, columns: Sequence[str], which: str, scale: Scale) -> Panel:
    rows = part.sort_values(["layer", "place"], kind="stable")["place"].unique().tolist()
    names = [place.partition(" ")[2] for place in rows]
    shape = len(rows), len(columns)
    z, muted = np.full(shape, np.nan), np.zeros(shape, dtype=bool)
    labels, texts = np.full(shape, "", dtype=object), np.full(shape, "not tried", dtype=object)
    for (place, column), cell in part.groupby(["place", "column"], sort=False):
        at = rows.index(place), columns.index(column)
        gain = float(cell["shown"].mean())
        chance = bool(cell["within_noise"].all())
        stopped = not (cell["state"] == "complete").any()
        z[at], muted[at] = scale.unit.factor * gain, chance
        labels[at] = scale.few_letters(gain) + STOPPED_MARK * stopped
        words = f"{', may be chance' * chance}{f', stopped early: {which}' * stopped}"
        texts[at] = f"{place} at clip rate {column}: {scale.gain(gain)}{words}"
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
                name=f"{scale.gain_words}, {scale.unit.words}",
                labels=labels.tolist(),
                texts=texts.tolist(),
            )
        ],
    )
