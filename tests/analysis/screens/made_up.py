"""Screens without a model."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.screen.screened import FORMULA_NAME, Screened, ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet


def clip(rate: float, layer: int = 0) -> Clip:
    return Clip(layer=layer, module="mlp", clip_rate=rate)


def screened(
    changes: Mapping[Clip, NDArray[np.float64]], shots: int = 2, demo_seed: int = 0, rows: int = 60
) -> Screened:
    prompt_set = PromptSet(shots=shots, demo_seed=demo_seed, split="validation")
    made = np.array([changes[each] for each in changes], dtype=np.float32).reshape(len(changes), rows)
    return Screened(
        request=ScreenRequest(prompt_set=prompt_set, clips=tuple(changes), rows=rows),
        ranks=tuple((3, 4) for _ in changes),
        margins=np.random.default_rng(shots).normal(size=rows).astype(np.float32),
        groups=tuple(range(rows)),
        changes=made,
        formula=FORMULA_NAME,
        operations=1000,
        seconds=1.5,
    )
