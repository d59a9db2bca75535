"""How far a clip reaches: the change of norms at each block, a row for each clipped layer."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median

import numpy as np

from clipsweep.analysis.drawing.chart import Axis, Chart, Heat, Panel
from clipsweep.analysis.figures.theory.panels import other_modules, shown_modules
from clipsweep.analysis.theory.changes import TrialChange
from clipsweep.analysis.theory.quantities import CHANGED, DELTA_W, GRADIENT, has_changed
from clipsweep.analysis.theory.theory import Theory

SHOWN = {DELTA_W: "log‖ΔW_t‖", GRADIENT: "log‖G_t‖"}
NUMBERED, SIGNED = 8, 16  # blocks up to which cells have a number, and a sign
LEAST_NUMBER = 0.005  # below it a number in a cell would be 0.00
NEARLY_ALL = 0.9  # of the changes lie within the colours, so that one very large change does not make all others pale
CAPTION = (
    "Median change of the natural log of a norm at each block, over the trials whose one clip is in that layer "
    "({counts} in a row; n = {trials} trials); layers and blocks are counted from 0. Blue: the norm grew; orange: it "
    "fell; grey: the median is within {changed:g} %, as it also is where changes cancel; a hole was not measured. "
    "Right of the stepped line lie the "
    "blocks that a clip changes by the paper's count, L - k + 1 of them for the k-th of L layers (Remark 5). An MLP "
    "comes after the attention of its block, so that the first change is to be expected one block later."
    "{beyond}{others}"
)
BEYOND = " Changes beyond {most:.2g} have the last colour."


def reach_chart(theory: Theory | None) -> Chart | None:
    """A panel for each module and norm: a row for each clipped layer, a column for each block.

    Returns:
        None where nothing was measured, or no trial has one clip alone.
    """
    if theory is None:
        return None
    trials = [trial for trial in theory.changes.trials if len(trial.clips) == 1]
    if not trials:
        return None
    modules = shown_modules(trials)
    grids = {
        (norm, module): _medians([trial for trial in trials if trial.module == module], norm)
        for norm in SHOWN
        for module in modules
    }
    sizes = [size for grid in grids.values() for row in grid.values() for size in map(_size, row) if size]
    most = float(np.quantile(sizes, NEARLY_ALL)) if sizes else None
    counts = sorted(Counter((trial.module, trial.layer) for trial in trials if trial.module in modules).values())
    beyond = most is not None and max(sizes) > most
    return Chart(
        name="theory-reach",
        title="How far does a clip reach?",
        caption=CAPTION.format(
            counts=f"{counts[0]}" if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}",
            trials=f"{sum(counts):,}",
            changed=100 * CHANGED,
            beyond=BEYOND.format(most=most) if beyond else "",
            others=other_modules(trials),
        ),
        panels=[_panel(f"{module}: {SHOWN[norm]}", grid, most) for (norm, module), grid in grids.items()],
        columns=len(modules),
    )


Row = list[float | None]


def _medians(trials: Sequence[TrialChange], norm: str) -> Mapping[int, Row]:
    """By clipped layer the median change at each block; None where it was not measured."""
    by_layer: dict[int, list[Sequence[float | None]]] = {}
    for trial in trials:
        by_layer.setdefault(trial.layer, []).append(trial.logs[norm])
    return {layer: list(map(_median, zip(*logs, strict=True))) for layer, logs in sorted(by_layer.items())}


def _median(changes: Sequence[float | None]) -> float | None:
    known = [change for change in changes if change is not None and not math.isnan(change)]
    return median(known) if known else None


def _size(change: float | None) -> float:
    """How large a change is that counts and is finite; else 0."""
    return abs(change) if change is not None and math.isfinite(change) and has_changed(change) else 0.0


def _panel(title: str, grid: Mapping[int, Row], most: float | None) -> Panel:
    names = [str(layer) for layer in grid]
    n_blocks = max(map(len, grid.values()))
    blocks = list(map(str, range(n_blocks)))
    end = most or CHANGED
    return Panel(
        title=title,
        x=Axis(title="block t", kind="category", categories=tuple(blocks)),
        y=Axis(title="clipped layer", kind="category", categories=tuple(names)),
        marks=[
            Heat(
                x=blocks,
                y=names,
                z=[[_shown(change, end) for change in row] for row in grid.values()],
                muted=[[not has_changed(change) for change in row] for row in grid.values()],
                name="change of log norm",
                most=end,
                edge=list(grid),
                edge_name="the paper's L - k + 1",
                labels=[[_label(change, n_blocks) for change in row] for row in grid.values()]
                if n_blocks <= SIGNED
                else None,
                texts=[
                    [f"clip in layer {layer}, block {block}: {_words(change)}" for block, change in enumerate(row)]
                    for layer, row in grid.items()
                ],
            )
        ],
    )


def _shown(change: float | None, end: float) -> float | None:
    """A change as a cell has it: what became zero, or was it, at the end of the colours."""
    return change if change is None or math.isfinite(change) else math.copysign(end, change)


def _label(change: float | None, n_blocks: int) -> str:
    """A word in a cell: a number where there is room for it, else a sign."""
    if change is None or not has_changed(change):
        return ""
    if n_blocks > NUMBERED or abs(change) < LEAST_NUMBER:
        return "+" if change > 0 else "−"
    if math.isinf(change):
        return "+∞" if change > 0 else "−∞"
    return f"{change:+.2f}" if abs(change) < 1 else f"{change:+.1f}"


def _words(change: float | None) -> str:
    if change is None:
        return "not measured"
    return f"{change:+.4f}" if has_changed(change) else f"{change:+.2g}, unchanged"
