"""Norms from block to block, of the untouched model and of the winner."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from clipsweep.analysis.drawing.chart import Axis, Chart, Line, Panel
from clipsweep.analysis.figures.words import scale_of
from clipsweep.trials.base.errors import counted

if TYPE_CHECKING:
    import pandas

PANELS = {
    "log_delta_w": "log‖ΔW_t‖, linear attention",
    "log_delta_w_softmax": "log‖ΔW_t‖, softmax kernel",
    "log_implicit_gradient": "log‖G_t‖, linear attention",
}
LEAST = 0.2  # that an axis of logs shows at least
CAPTION = (
    "Natural log of the norm of the update that the demonstrations make at each block, counted from 0: of the "
    "{which}, {label}, and of the untouched model (dashed) on the same prompts{mean}. Open circles: blocks that it "
    "clips. A gap was not measured, or the norm is zero there."
)


def trajectory_chart(trials: pandas.DataFrame, points: pandas.DataFrame) -> Chart | None:
    """A panel for each norm: a line for the untouched model, and one for the winner, or else the best clip.

    Args:
        trials: As ``clipsweep.load`` gives them.
        points: As ``clipsweep.points`` gives them.

    Returns:
        None where no complete point that clips something was measured, with an untouched model beside it.
    """
    if not {*PANELS} <= {*trials.columns}:
        return None
    measured = trials[trials[list(PANELS)].notna().all(axis=1)].set_index("trial_id")
    if measured.empty:
        return None
    complete = points[points["score"].notna() & ~points["is_baseline"]]
    scores = scale_of(points).goodness(complete["score"])
    order = complete.assign(goodness=scores).sort_values(["is_winner", "goodness"], ascending=False, kind="stable")
    for _, point in order.iterrows():
        clipped, untouched = (_those(measured, point[ids]) for ids in ("trial_ids", "baseline_ids"))
        if len(clipped) and len(untouched):
            return _chart(point, clipped, untouched)
    return None


def _those(measured: pandas.DataFrame, trial_ids: Sequence[str]) -> pandas.DataFrame:
    """The trials with these identities, as far as they were measured."""
    return measured.loc[[each for each in trial_ids if each in measured.index]]


def _chart(point: pandas.Series[Any], clipped: pandas.DataFrame, untouched: pandas.DataFrame) -> Chart:
    which = "winner" if point["is_winner"] else "best clip that was measured"
    mean = f", as means over its {counted(len(clipped), 'trial')}" if len(clipped) > 1 else ""
    layers = {clip.layer for clip in point["clips"] if not clip.is_idle}
    return Chart(
        name="theory-trajectory",
        title="Norms from block to block",
        caption=CAPTION.format(which=which, label=point["label"], mean=mean),
        panels=[_panel(column, title, clipped, untouched, layers) for column, title in PANELS.items()],
        columns=3,
        same_y=False,
    )


def _panel(
    column: str, title: str, clipped: pandas.DataFrame, untouched: pandas.DataFrame, clipped_at: Collection[int]
) -> Panel:
    before, after = _mean(untouched[column]), _mean(clipped[column])
    hollow = [block in clipped_at for block in range(len(after))]
    blocks = tuple(map(str, range(len(before))))
    return Panel(
        title=title,
        x=Axis(title="block t", kind="category", categories=blocks),
        y=Axis(title="natural log of the norm", least=LEAST),
        marks=[
            Line(x=blocks, y=before, name="untouched", color="baseline", dashed=True, marked=False),
            Line(x=blocks, y=after, name="clipped", color="after", hollow=hollow),
        ],
    )


def _mean(logs: pandas.Series[Any]) -> list[float | None]:
    """The mean over trials at each block; None where one of them has no finite number."""
    means = np.stack([np.asarray(each, dtype=np.float64) for each in logs]).mean(axis=0)
    return [mean if np.isfinite(mean) else None for mean in means.tolist()]
