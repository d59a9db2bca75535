"""What a screen says of the stored surfaces, beside what is so, and what it costs next to a full grid.

    python -m tests.benchmarks.screened NAME ...

screens surfaces and keeps that as ``surfaces/screens/NAME.parquet``. Without a name nothing is computed: the figures
are those of what is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from clipsweep.analysis.screens.screen_file import ScreenFile
from clipsweep.analysis.screens.screens import Screens
from clipsweep.trials.screen.screened import DEFAULT_ROWS, ScreenRequest
from clipsweep.trials.spec.trial import VALIDATION, PromptSet
from tests.benchmarks.document import Line, at_least, at_most, print_document, tell
from tests.benchmarks.surfaces import FOLDER, Numbers, Surface, load_surface

SCREENS = FOLDER / "screens"
SHARE, GATE, COST = 0.25, 0.95, 0.01  # of the points, of what there is to gain, and of the grid's operations


def request_of(surface: Surface, rows: int = DEFAULT_ROWS) -> ScreenRequest:
    """Every clip of a surface alone."""
    clips = dict.fromkeys(clip for clips in surface.points for clip in clips)
    return ScreenRequest(prompt_set=prompt_set_of(surface), clips=tuple(clips), rows=rows)


def prompt_set_of(surface: Surface) -> PromptSet:
    """The prompts that a surface was evaluated on."""
    return PromptSet(shots=surface.axes.shots, demo_seed=surface.axes.demo_seed, split=VALIDATION)


def make(surface: Surface) -> None:
    """Screen a surface with its model, and keep that."""
    from clipsweep.trials.base.files import default_cache  # here, as what follows loads torch
    from clipsweep.trials.screen.screen import screen
    from tests.benchmarks.surface_making import RECIPES, _Bench

    bench = _Bench.load(RECIPES[surface.name], default_cache())
    SCREENS.mkdir(exist_ok=True)
    _file(surface).add([screen(bench.engine, bench.prompts[VALIDATION], request_of(surface))])


def load_screens(surface: Surface) -> Screens | None:
    """What was screened of a surface; None where nothing was, as of those whose model is not at hand."""
    screens = _file(surface).screens()
    return screens if len(screens) else None


def predicted_gains(surface: Surface, screens: Screens) -> Numbers:
    """Predicted gain of each point of a surface."""
    found = [screens.predict(prompt_set_of(surface), clips) for clips in surface.points]
    return np.array([each.gain for each in found if each is not None])


def share_in_front(surface: Surface, predicted: Numbers, share: float = SHARE) -> float:
    """Of what there is to gain in held-out accuracy, how much the points with the largest predictions hold."""
    front = np.argsort(-predicted, kind="stable")[: ceil(share * len(predicted))]
    return float((surface.values[front].max() - surface.baseline) / surface.gain_to_have)


def measure(names: Sequence[str]) -> list[Line]:
    """The figures of every surface that was screened."""
    for name in names:
        make(load_surface(name))
    lines: list[Line] = []
    for path in sorted(SCREENS.glob("*.parquet")):
        surface = load_surface(path.stem)
        screens = load_screens(surface)
        assert screens is not None, f"{path} is of another model or other rows; make it again"
        predicted = predicted_gains(surface, screens)
        grid = float(surface.operations.sum()) * surface.validation.shape[1]
        cost = _file(surface).table()["operations"][0].as_py()
        rank = float(spearmanr(predicted[1:], surface.values[1:])[0])
        lines += [
            Line(name=f"{surface.name}: rank correlation of predicted and held-out gain", value=rank, unit=""),
            at_least(f"{surface.name}: gain in the top quarter", share_in_front(surface, predicted), "", GATE),
            at_most(f"{surface.name}: operations over those of the grid", cost / grid, "", COST),
        ]
    return list(tell(lines))


def _file(surface: Surface) -> ScreenFile:
    path: Path = SCREENS / f"{surface.name}.parquet"
    return ScreenFile(path, surface.card.fingerprint, surface.card.dtype, surface.task_fingerprint)


if __name__ == "__main__":
    print_document(lambda: measure(sys.argv[1:]))
