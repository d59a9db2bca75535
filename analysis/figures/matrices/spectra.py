"""Singular values by rank, a panel for each role, a line for each layer by its depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.drawing.chart import Axis, Chart, ColorBar, Dots, Level, Line, Mark, Panel
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.shape import kept_of

if TYPE_CHECKING:
    import pandas

MOST_RANKS = 160  # of a line: more could not be seen, and would make a page of many layers slow
IN_FULL = 16  # of the first and of the last ranks, where lines bend
CAPTION = (
    "Singular values of each matrix, largest first, as the checkpoint holds it; a line for each layer, coloured by its "
    "depth. Dashed, as medians over the layers: laserRMT's edge, which comes from the spread of the singular values "
    "and is no noise level of the entries"
)
ENTRIES = "; and where noise would end that has the standard deviation of the entries"


def spectra_chart(spectra: pandas.DataFrame | None, points: pandas.DataFrame | None = None) -> Chart | None:
    """The singular values of every matrix, and how many of them the winner keeps.

    Args:
        spectra: As ``spectra_frame`` makes it; None where nothing was measured.
        points: Whose winner is marked; None for a model without a study.
    """
    if spectra is None or spectra.empty:
        return None
    clips = _winning_clips(points)
    roles = [role for role in MODULES["all"] if role in set(spectra["role"])]
    caption = CAPTION + ENTRIES * bool(spectra["entry_std"].notna().any()) + "."
    caption += " Star: the last singular value that the winner keeps." if clips else ""
    if spectra["expert"].notna().any():
        caption += " Of a mixture the median over its experts, rank by rank."
    return Chart(
        name="spectra",
        title="Singular values by rank",
        caption=caption,
        panels=[_panel(role, spectra[spectra["role"] == role], clips) for role in roles],
        color_bar=ColorBar(title="layer", low=float(spectra["layer"].min()), high=float(spectra["layer"].max())),
        same_y=False,
    )


def _winning_clips(points: pandas.DataFrame | None) -> tuple[Clip, ...]:
    """What the winner keeps the largest singular values of."""
    if points is None:
        return ()
    won = [clip for clips in points.loc[points["is_winner"], "clips"] for clip in clips]
    return tuple(clip for clip in won if clip.kind == DEFAULT_KIND and not clip.is_idle)


def _panel(role: str, matrices: pandas.DataFrame, clips: tuple[Clip, ...]) -> Panel:
    by_layer = {
        int(layer): np.median(np.stack(list(held)), axis=0)
        for layer, held in matrices.groupby("layer")["singular_values"]
    }
    rows, cols = matrices.iloc[0][["rows", "cols"]]
    return Panel(
        title=f"{role}, {rows} × {cols}",
        x=Axis(title="rank"),
        y=Axis(title="singular value", kind="log"),
        marks=[
            *(_line(layer, values) for layer, values in by_layer.items()),
            *_edges(matrices),
            *_kept(role, by_layer, clips),
        ],
    )


def _line(layer: int, values: NDArray[np.float32]) -> Line:
    ranks = _ranks(len(values))
    heights = [float(values[rank - 1]) if values[rank - 1] > 0 else None for rank in ranks]
    return Line(x=ranks, y=heights, name=f"layer {layer}", color=float(layer), marked=False, in_legend=False)


def _ranks(count: int) -> list[int]:
    """Ranks that are drawn, from 1: all, or the first and last in full and those between evenly spaced."""
    if count <= MOST_RANKS:
        return list(range(1, count + 1))
    between = np.linspace(IN_FULL, count - IN_FULL, MOST_RANKS - 2 * IN_FULL).round().astype(int)
    return sorted({*range(1, IN_FULL + 1), *between.tolist(), *range(count - IN_FULL + 1, count + 1)})


def _edges(matrices: pandas.DataFrame) -> Iterator[Mark]:
    """Levels at the edges, where they are known and not 0."""
    for column, name, color in (
        ("entry_edge", "edge of noise, from the entries", "published"),
        ("iqr_edge", "laserRMT's edge", "baseline"),
    ):
        edge = float(matrices[column].median())
        if edge > 0:
            yield Level(y=edge, name=name, color=color)


def _kept(role: str, by_layer: dict[int, NDArray[np.float32]], clips: tuple[Clip, ...]) -> Iterator[Mark]:
    """A star at the last singular value that the winner keeps, in each layer that it clips."""
    at = {
        clip.layer: kept_of(clip.clip_rate, len(by_layer[clip.layer]))
        for clip in clips
        if role in MODULES[clip.module] and clip.layer in by_layer
    }
    if at:
        yield Dots(
            x=list(at.values()),
            y=[float(by_layer[layer][rank - 1]) or None for layer, rank in at.items()],
            name="kept by the winner",
            color="best",
            symbol="star",
            texts=[f"layer {layer}: {rank} of {len(by_layer[layer])} kept" for layer, rank in at.items()],
        )
