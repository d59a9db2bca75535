"""How far the theory's own number is off where probes are fewer than the model is wide.

    python -m tests.benchmarks.theory_probes [FOLDER]

clips every layer's attention and MLP of a model at two rates, one at a time, and measures the sum over blocks of the
change of ``log‖G_t‖`` with fewer probes and with as many as the model is wide, which is exact. FOLDER is a checkpoint;
without it the shared folder's model is taken. Over one prompt of four demonstrations; minutes on one core.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray

from clipsweep.analysis.theory.ranks import spearman
from clipsweep.trials.base.files import default_cache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.label_scores import LabelScores
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import VALIDATION
from clipsweep.trials.theory import stage
from clipsweep.trials.theory.gradients import MOST_PROBES, draw_probes
from tests.benchmarks.document import Line, print_document, tell
from tests.benchmarks.surface_making import PROMPTS_5M, RECIPES, Bench

RATES = (0.5, 0.9)
FEWER = (64, 77, 128, MOST_PROBES)  # 77 of 192 is the share that 256 are of 640, the width of Gemma 3 270M
MOST_WIDE = 1 << 20  # wider than any model
LAYERS = 6  # of deep models about so many, spread over them


def sums(folder: str, most: int) -> NDArray[np.float64]:
    """Of each clip the sum over blocks of the change of ``log‖G_t‖``: shape ``(clips,)``.

    Args:
        folder: Of a checkpoint, or a name of the shared models.
        most: Probes, unless the model is narrower.
    """
    recipe = replace(RECIPES["sst2-release-words"], model=folder)
    with patch.object(stage, "draw_probes", partial(draw_probes, most=most)):
        bench = Bench.load(recipe, default_cache(), theory=True)
    prompts = bench.prompts[VALIDATION]
    one = replace(prompts, queries=prompts.queries[:1], cuts=())
    layers = sorted({layer for layer, _ in bench.card.shapes})
    told = layers[:: max(1, len(layers) // LAYERS)]
    clips = [
        Clip(layer=layer, module=module, clip_rate=rate)
        for layer, module, rate in product(told, ("attn", "mlp"), RATES)
    ]
    found = []
    for each in ((), *((clip,) for clip in clips)):
        (scored,) = bench.engine.score_all(one, [resolve(each, bench.card)], 1)
        assert isinstance(scored, LabelScores), "no clip fails"
        assert scored.implicit is not None, "the prompt has demonstrations"
        found.append(sum(log for log in scored.implicit.implicit_gradient if log is not None))
    return np.array(found[1:]) - found[0]


def lines(folder: str) -> Iterator[Line]:
    """What fewer probes are off by."""
    torch.set_num_threads(1)
    exact, name = sums(folder, MOST_WIDE), Path(folder).name
    yield Line(
        name=f"{name}: size of the exact change, median of {len(exact)} clips",
        value=float(np.median(abs(exact))),
        unit="",
    )
    for most in FEWER:
        probed = sums(folder, most)
        label = f"{name}, {most} probes"
        yield Line(name=f"{label}: rank correlation with the exact change", value=spearman(exact, probed), unit="")
        yield Line(name=f"{label}: farthest from it", value=float(abs(probed - exact).max()), unit="")
        yield Line(name=f"{label}: median distance", value=float(np.median(abs(probed - exact))), unit="")
        yield Line(
            name=f"{label}: changes of another sign", value=int(np.sum(np.sign(probed) != np.sign(exact))), unit=""
        )


def measure(folders: Sequence[str]) -> list[Line]:
    """The figures of these checkpoints."""
    return [line for folder in folders or [PROMPTS_5M] for each in lines(folder) for line in tell([each])]


if __name__ == "__main__":
    print_document(lambda: measure([str(Path(each).resolve()) for each in sys.argv[1:]]))
