"""How far the theory's own number is off where probes are fewer than the model is wide.

    python -m tests.benchmarks.theory_probes [FOLDER ...]

clips attention and MLP of a model's layers at two rates, one at a time, and measures the sum over blocks of the change
of ``log‖G_t‖`` with fewer probes and with as many as the model is wide, which is exact. FOLDER is a checkpoint; without
it the shared folder's model is taken. Over one prompt of four demonstrations; minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from clipsweep.analysis.theory.ranks import spearman
from clipsweep.trials.base.files import default_cache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import VALIDATION
from clipsweep.trials.theory import stage
from clipsweep.trials.theory.gradients import MOST_PROBES, Probes, draw_probes, pass_block
from clipsweep.trials.theory.updates import Update, form_update
from tests.benchmarks.document import Line, print_document, tell
from tests.benchmarks.surface_making import PROMPTS_5M, RECIPES, Bench

RATES = (0.5, 0.9)
FEWER = (64, 77, 128, MOST_PROBES)  # 77 of 192 is the share that 256 are of 640, the width of Gemma 3 270M
LAYERS = 6  # of deep models about so many, spread over them


class Chain:
    """What so many probes tell of the updates of one pass after another, the untouched model's first."""

    def __init__(self, width: int, most: int) -> None:
        """Draw the probes."""
        self._entering = [draw_probes(width, most)]
        self._untouched: list[float] = []

    def untouched(self, updates: Sequence[Update]) -> None:
        """Take the updates of all blocks."""
        for update in updates:
            log, probes = self._pass(update, len(self._untouched), self._entering[-1])
            self._untouched.append(log)
            self._entering.append(probes)

    def change(self, updates: Sequence[Update]) -> float:
        """Sum of the changes of ``log‖G_t‖``, of the updates of the last blocks under a clip."""
        first, total = len(self._untouched) - len(updates), 0.0
        probes = self._entering[first]
        for block, update in enumerate(updates, first):
            log, probes = self._pass(update, block, probes)
            total += log - self._untouched[block]
        return total

    def _pass(self, update: Update, block: int, probes: Probes) -> tuple[float, Probes]:
        """As a trial does: of the first block the norm is exact."""
        log, leaving = pass_block(update, probes)
        return float(log if block else update.log_norm()), leaving


def changes(folder: str) -> dict[int, NDArray[np.float64]]:
    """By number of probes the sum for each clip; the largest number is the width, and exact.

    Args:
        folder: Of a checkpoint, or a name of the shared models.
    """
    bench = Bench.load(replace(RECIPES["sst2-release-words"], model=folder), default_cache(), theory=True)
    prompts = bench.prompts[VALIDATION]
    one = replace(prompts, queries=prompts.queries[:1], cuts=())
    layers = sorted({layer for layer, _ in bench.card.shapes})
    told = product(layers[:: max(1, len(layers) // LAYERS)], ("attn", "mlp"), RATES)
    clips = [Clip(layer=layer, module=module, clip_rate=rate) for layer, module, rate in told]

    def read(*clipped: Clip) -> list[Update]:
        """The updates of the blocks that are read."""
        found: list[Update] = []

        def form(*arguments: Any) -> Update:
            found.append(form_update(*arguments))
            return found[-1]

        with patch.object(stage, "form_update", form):
            bench.engine.score_all(one, [resolve(clipped, bench.card)], 1)
        return found

    untouched = read()
    width = len(untouched[0].outer)
    chains = {most: Chain(width, most) for most in (*(fewer for fewer in FEWER if fewer < width), width)}
    for chain in chains.values():
        chain.untouched(untouched)
    found = []
    for clip in clips:
        updates = read(clip)
        found.append([chain.change(updates) for chain in chains.values()])
    return dict(zip(chains, np.array(found).T, strict=True))


@torch.inference_mode()
def lines(folder: str) -> Iterator[Line]:
    """What fewer probes are off by."""
    torch.set_num_threads(1)
    found, name = changes(folder), Path(folder).name
    exact = found.pop(max(found))
    size = float(np.median(np.abs(exact)))
    yield Line(name=f"{name}: size of the exact change, median of {len(exact)} clips", value=size, unit="")
    for most, probed in found.items():
        away, label = np.abs(probed - exact), f"{name}, {most} probes"
        yield Line(name=f"{label}: rank correlation with the exact change", value=spearman(exact, probed), unit="")
        yield Line(name=f"{label}: farthest from it", value=float(away.max()), unit="")
        yield Line(name=f"{label}: median distance", value=float(np.median(away)), unit="")
        turned = int(np.sum(np.sign(probed) != np.sign(exact)))
        yield Line(name=f"{label}: changes of another sign", value=turned, unit="")


def measure(folders: Sequence[str]) -> list[Line]:
    """The figures of these checkpoints."""
    return [line for folder in folders or [PROMPTS_5M] for each in lines(folder) for line in tell([each])]


if __name__ == "__main__":
    print_document(lambda: measure([str(Path(each).resolve()) for each in sys.argv[1:]]))
