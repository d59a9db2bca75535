"""The trials behind the most telling quantities: what each changed against what it gained."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from clipsweep.analysis.drawing.chart import Axis, Chart, ColorBar, Dots, Level, Panel
from clipsweep.analysis.figures.theory.panels import other_modules, shown_modules
from clipsweep.analysis.figures.words import Scale
from clipsweep.analysis.theory.changes import TrialChange
from clipsweep.analysis.theory.correlations import Correlation
from clipsweep.analysis.theory.quantities import MAIN, OF_NORMS, QUANTITIES, THEORY
from clipsweep.analysis.theory.theory import Theory
from clipsweep.analysis.winners.point import describe_clips
from clipsweep.trials.scores.metrics import ACCURACY

MOST_DOTS = 500  # in a panel: more could not be told apart, and would make a page of many trials slow
CAPTION = (
    "A dot for each trial, coloured by its layer: {quantities}, against what it gained in accuracy over the untouched "
    "model on the same prompts and examples. First the theory's own number, which Theorem 2 grows with, then the "
    "strongest by rank correlation of what is made of its other norms, then the strongest rival. Each panel has a "
    "range of its own. "
    "n = {trials} trials.{thinned}{others}"
)
THINNED = " Of a panel with more, {most} are drawn, picked at random, always the same ones."


def scatter_chart(theory: Theory | None) -> Chart | None:
    """A row of panels for each of the most telling quantities, a panel for each module.

    Returns:
        None where nothing was measured, or no quantity has a correlation.
    """
    if theory is None:
        return None
    names = telling(theory.predictions.of_all)
    if not names:
        return None
    trials = theory.changes.trials
    modules = shown_modules(trials)
    layers = [trial.layer for trial in trials]
    parts = [
        (name, module, _having(name, [trial for trial in trials if trial.module == module]))
        for name in names
        for module in modules
    ]
    labels = [QUANTITIES[name].label for name in names]
    return Chart(
        name="theory-scatter",
        title="What trials changed against what they gained",
        caption=CAPTION.format(
            quantities=", ".join(labels),
            trials=f"{len(trials):,}",
            thinned=THINNED.format(most=MOST_DOTS) * any(len(part) > MOST_DOTS for *_, part in parts),
            others=other_modules(trials),
        ),
        panels=[_panel(name, module, part) for name, module, part in parts if part],
        columns=len(modules),
        same_y=False,
        color_bar=ColorBar(title="layer", low=float(min(layers)), high=float(max(layers))),
    )


def telling(correlations: Sequence[Correlation]) -> list[str]:
    """The theory's own number, the strongest of its other norms, and the strongest rival, as far as there are."""
    found = sorted((each for each in correlations if each.rho is not None), key=lambda each: -abs(each.rho or 0.0))
    names = [each.quantity for each in found]
    own = [name for name in names if name == MAIN]
    others = [name for name in names if name in OF_NORMS and _norm_of(name) != _norm_of(MAIN)]
    rivals = [name for name in names if QUANTITIES[name].group != THEORY]
    return [*own, *others[:1], *rivals[:1]]


def _norm_of(quantity: str) -> str:
    """The norm that a quantity of ``OF_NORMS`` is made of."""
    return quantity.partition("_")[2]


def _having(name: str, trials: Sequence[TrialChange]) -> list[TrialChange]:
    """Trials that have a quantity which can be drawn."""
    return [trial for trial in trials if (value := trial.quantities[name]) is not None and math.isfinite(value)]


def _panel(name: str, module: str, trials: Sequence[TrialChange]) -> Panel:
    scale = Scale(ACCURACY)
    drawn = _thinned(trials)
    label = QUANTITIES[name].label
    return Panel(
        title=f"{module}: {label}",
        x=Axis(title=label),
        y=scale.gain_axis(),
        marks=[
            Level(y=0.0, name="untouched model"),
            Dots(
                x=[trial.quantities[name] or 0.0 for trial in drawn],
                y=[scale.unit.factor * trial.gain for trial in drawn],
                name=module,
                color=[float(trial.layer) for trial in drawn],
                texts=[f"{describe_clips(trial.clips)}: {scale.gain(trial.gain)}" for trial in drawn],
                in_legend=False,
            ),
        ],
    )


def _thinned(trials: Sequence[TrialChange]) -> list[TrialChange]:
    """So many as a panel draws, in their order."""
    if len(trials) <= MOST_DOTS:
        return list(trials)
    picked = np.random.default_rng(0).choice(len(trials), MOST_DOTS, replace=False)
    return [trials[number] for number in sorted(picked.tolist())]
