"""All numbers of Figure 5: errors of checkpoints beside those of solvers, and what each clip adds to them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from clipsweep.trials.base.files import read_note, write_note
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.theory.regression.clipping import Clippable, all_clips, make_clippable
from clipsweep.trials.theory.regression.prompts import Prompts, draw_prompts, normalised_errors
from clipsweep.trials.theory.regression.settings import Size
from clipsweep.trials.theory.regression.solvers import predict_least_squares, predict_zero
from clipsweep.trials.theory.regression.training import load_trained, training_facts

CHOOSE, REPORT = "choose", "report"  # the two sets of prompts
DIGITS = 6
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a run is measured on.

    Attributes:
        size: What was trained.
        seed: Of weights and prompts.
        device: Where.
        folder: Holds the checkpoints; factors are kept there too.
        prompts: The two sets of prompts, by name, on the device.
    """

    size: Size
    seed: int
    device: torch.device
    folder: Path
    prompts: dict[str, Prompts]

    @property
    def spans(self) -> dict[str, slice]:
        """Numbers of examples: ``few`` are 1 to ``d - 1``, of which no answer follows; ``many`` are from ``d`` on."""
        dims = self.size.n_dims.stop
        return {"few": slice(1, dims), "many": slice(dims, None)}


def make_ground(size: Size, seed: int, device: torch.device, folder: Path) -> Ground:
    """Draw the prompts that errors are measured on; training sees others."""
    drawn = {
        name: draw_prompts(
            f"regression, {name}", seed, size.n_prompts, n_dims=size.n_dims.stop, n_examples=size.n_examples.stop
        ).to(device)
        for name in (CHOOSE, REPORT)
    }
    return Ground(size=size, seed=seed, device=device, folder=folder, prompts=drawn)


def measure_solvers(ground: Ground) -> dict[str, Any]:
    """Errors of always saying zero and of least squares, on the prompts that are reported."""
    prompts = ground.prompts[REPORT]
    return {
        "zero": curve_of(normalised_errors(predict_zero(prompts), prompts)),
        "least_squares": curve_of(normalised_errors(predict_least_squares(prompts), prompts)),
    }


def measure_checkpoint(ground: Ground, step: int, say: Say) -> dict[str, Any]:
    """Errors of a checkpoint, and those of every clip of it where the size asks for them.

    They are kept in the folder, and not measured again.

    Returns:
        ``step``; ``seconds`` that it took; ``untouched``, its error by the number of examples; ``clips``, empty where
        none was measured; and ``chosen``, the numbers in ``clips`` of those that have the least error at few and at
        many examples. They are chosen on one set of prompts; all else is of the other.

    Raises:
        ModelError: The checkpoint cannot be read.
    """
    is_clipped = step in ground.size.clipped_steps
    of = {
        **training_facts(ground.size, ground.seed, step),
        "n_prompts": ground.size.n_prompts,
        "is_clipped": is_clipped,
    }
    note = ground.folder / "measured" / f"step-{step:06}.json"
    known = read_note(note)
    if known is None or known["of"] != of:
        began = time.monotonic()
        found = _measure(ground, step, is_clipped, say)
        known = {"of": of, "found": found | {"seconds": time.monotonic() - began}}
        write_note(note, known)
    measured: dict[str, Any] = known["found"]
    return measured


def _measure(ground: Ground, step: int, is_clipped: bool, say: Say) -> dict[str, Any]:
    """The same, measured now."""
    model = load_trained(ground.size, ground.seed, ground.device, ground.folder, step)
    clippable = make_clippable(model, ground.folder / "cache")
    untouched = {name: clippable.errors(prompts) for name, prompts in ground.prompts.items()}
    found: dict[str, Any] = {"step": step, "untouched": curve_of(untouched[REPORT]), "clips": [], "chosen": {}}
    clips = all_clips(clippable.card) if is_clipped else []
    for number, clip in enumerate(clips):
        if number % 50 == 0:
            say(f"checkpoint after {step} steps: clip {number} of {len(clips)}")
        found["clips"].append(_measure_clip(ground, clippable, clip, untouched))
    if clips:
        found["chosen"] = {name: _least(found["clips"], name) for name in ground.spans}
    return found


def _measure_clip(ground: Ground, clippable: Clippable, clip: Clip, untouched: dict[str, Tensor]) -> dict[str, Any]:
    """What a clip adds to the error of each prompt: means with standard errors, by set and by number of examples."""
    added = {name: clippable.errors(prompts, clip) - untouched[name] for name, prompts in ground.prompts.items()}
    return {
        "layer": clip.layer,
        "module": clip.module,
        "clip_rate": clip.clip_rate,
        "added": curve_of(added[REPORT]),
        **{
            name: {span: mean_of(values[:, columns].mean(1)) for span, columns in ground.spans.items()}
            for name, values in added.items()
        },
    }


def _least(clips: Sequence[dict[str, Any]], span: str) -> int:
    """Which clip adds least at few or at many examples, by the prompts that are there to choose."""
    return min(range(len(clips)), key=lambda number: float(clips[number][CHOOSE][span]["mean"]))


def curve_of(values: Tensor) -> dict[str, list[float]]:
    """Means over prompts, and their standard errors: of shape ``(prompts, examples + 1)`` two lists."""
    each = [mean_of(column) for column in values.T]
    return {key: [mean[key] for mean in each] for key in ("mean", "standard_error")}


def mean_of(values: Tensor) -> dict[str, float]:
    """Mean of values ``(prompts,)``, computed in float64, and its standard error: their spread over the square root."""
    exact = values.double()
    error = exact.std().item() / math.sqrt(len(exact))
    return {"mean": _rounded(exact.mean().item()), "standard_error": _rounded(error)}


def _rounded(value: float) -> float:
    """As many digits as a reader may want; the file is a fifth then."""
    return float(f"{value:.{DIGITS}g}")
