"""Condition number and effective rank by layer: the paper's Figure 3, and what it leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from clipsweep.analysis.drawing.chart import Axis, Chart, Dots, Line, Mark, Panel
from clipsweep.trials.spec.modules import ATTENTION_ROLES, MLP_ROLES, MODULES

if TYPE_CHECKING:
    import pandas

PARTS = {"attention": ATTENTION_ROLES, "MLP": MLP_ROLES}
FLOAT32 = 1e6  # where float32 begins to guess the smallest singular value


def condition_chart(spectra: pandas.DataFrame | None, points: pandas.DataFrame | None = None) -> Chart | None:
    """Condition number by layer on a log axis, a line for each role, stars where a study clips: the paper's Figure 3.

    Args:
        spectra: As ``spectra_frame`` makes it; None where nothing was measured.
        points: Of the study whose layers are marked; None for a model without one. Where it clips every layer that was
            measured, none is marked.
    """
    if spectra is None or spectra.empty:
        return None
    clipped = _clipped(points) if points is not None else set()
    panels = []
    for part, matrices in _parts(spectra):
        values = matrices.groupby(["role", "layer"])["condition_number"].max()
        panels.append(
            Panel(
                title=part,
                x=Axis(title="layer"),
                y=Axis(title="condition number", kind="log"),
                marks=[*_lines(values, PARTS[part]), *_stars(values, clipped)],
            )
        )
    stars = any(isinstance(mark, Dots) for panel in panels for mark in panel.marks)
    return Chart(
        name="figure3",
        title="Condition number by layer",
        caption=_caption(spectra, stars=stars),
        panels=panels,
    )


def ranks_chart(spectra: pandas.DataFrame) -> Chart | None:
    """Effective rank by layer, and how many singular values lie above the edge of noise, as shares of the full rank.

    Args:
        spectra: As ``spectra_frame`` makes it.
    """
    full = spectra[["rows", "cols"]].min(axis=1)
    known = spectra["entry_std"].notna().any()
    measured = {"effective rank": "effective_rank"} | ({"above the edge of noise": "above_entry_edge"} if known else {})
    panels = []
    for words, column in measured.items():
        shares = spectra.assign(share=(spectra[column] / full).astype(float))
        for part, matrices in _parts(shares):
            panels.append(
                Panel(
                    title=f"{part}: {words}",
                    x=Axis(title="layer"),
                    y=Axis(title=words, percent=True, low=0.0),
                    marks=_lines(matrices.groupby(["role", "layer"])["share"].mean(), PARTS[part]),
                )
            )
    if not panels:
        return None
    caption = (
        "Shares of the full rank. Effective rank: in how many directions a matrix acts, by the entropy of its singular "
        "values (Roy and Vetterli, 2007); a matrix of equal singular values has all of them."
    )
    if known:
        caption += " Edge of noise: where the singular values of noise would end that has the entries' deviation."
    return Chart(name="ranks", title="Effective rank by layer", caption=caption, panels=panels)


def _parts(spectra: pandas.DataFrame) -> Iterator[tuple[str, pandas.DataFrame]]:
    """The matrices of attention, and those of the MLP, as far as there are some."""
    for part, roles in PARTS.items():
        matrices = spectra[spectra["role"].isin(roles)]
        if len(matrices):
            yield part, matrices


def _lines(values: pandas.Series[float], roles: Sequence[str]) -> list[Mark]:
    """A line by layer for each role that is there."""
    there = set(values.index.get_level_values("role"))
    return [Line(x=values[role].index.tolist(), y=values[role].tolist(), name=role) for role in roles if role in there]


def _clipped(points: pandas.DataFrame) -> set[tuple[str, int]]:
    """Roles and layers of the matrices that some point clips."""
    clips = {clip for each in points["clips"] for clip in each if not clip.is_idle}
    return {(role, clip.layer) for clip in clips for role in MODULES[clip.module]}


def _stars(values: pandas.Series[float], clipped: set[tuple[str, int]]) -> Iterator[Mark]:
    """Marks the largest value of each layer that is clipped, unless all are."""
    tops = values[[place in clipped for place in values.index]].groupby("layer").max()
    if 0 < len(tops) < values.index.get_level_values("layer").nunique():
        yield Dots(x=tops.index.tolist(), y=tops.tolist(), name="clipped", color="best", symbol="star")


def _caption(spectra: pandas.DataFrame, *, stars: bool) -> str:
    values = spectra["condition_number"]
    said = ["Largest singular value over the smallest, of every matrix as the checkpoint holds it, in float32."]
    if values.map(math.isinf).any():
        said.append("A gap is a singular matrix, whose condition number is infinite.")
    if values.max() > FLOAT32:
        said.append("Beyond a million float32 tells that a matrix is nearly singular, and not how nearly.")
    if spectra["expert"].notna().any():
        said.append("Of a mixture the largest among its experts.")
    if stars:
        said.append("Star: a layer that the study clips, at the largest among the matrices of its module.")
    return " ".join(said)
