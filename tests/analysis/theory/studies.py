"""Stored rows of made-up studies whose norms were measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from clipsweep.analysis.row.row import StoredRow
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.trial import Trial, TrialSpec
from tests.analysis.store.rows import stored_row
from tests.trials.models.test_card import CARD

N_BLOCKS, N_EXAMPLES = 6, 100


def norms_of(logs: Sequence[float | None], **others: Sequence[float | None]) -> ImplicitNorms:
    """Norms that are the same of all three kinds, but for those that are given."""
    told = {"delta_w": logs, "delta_w_softmax": logs, "implicit_gradient": logs} | others
    return ImplicitNorms(**{name: tuple(each) for name, each in told.items()}, seconds=0.05)


def theory_row(
    trial_id: str,
    clips: Iterable[Clip] = (),
    norms: ImplicitNorms | None = None,
    *,
    outcomes: Sequence[bool],
    seed: int = 0,
    **changes: Any,
) -> StoredRow:
    """A row of 4 shots with these norms."""
    spec = TrialSpec(model="m", task="sst2", shots=4, demo_seed=seed, split="validation", clips=tuple(clips))
    trial = Trial(trial_id=trial_id, spec=spec, resolved=resolve((), CARD))
    return stored_row(trial_id, trial=trial, outcomes=tuple(outcomes), implicit=norms, **changes)


def clip_at(layer: int, module: str = "mlp", clip_rate: float = 0.5) -> Clip:
    """A clip of the usual kind."""
    return Clip(layer=layer, module=module, clip_rate=clip_rate)


def planted_study(slope: float, seed: int = 0, n_layers: int = N_BLOCKS) -> dict[str, StoredRow]:
    """A study of many clips, each of which lets norms fall by a random amount, and answers better by ``slope`` of it.

    With a slope of 0 what a trial gains is chance alone.
    """
    rng = np.random.default_rng(seed)
    base = rng.random(N_EXAMPLES) < 0.5
    rows = {"base": theory_row("base", norms=norms_of([0.0] * N_BLOCKS), outcomes=base.tolist())}
    for layer in range(n_layers):
        for rate in (0.1, 0.3, 0.5, 0.7, 0.9):
            fall = float(rng.random())
            mended = rng.random(N_EXAMPLES) < 0.1 + 0.4 * slope * fall
            broken = rng.random(N_EXAMPLES) < 0.1
            outcomes = np.where(base, ~broken, mended)
            logs = [0.0] * layer + [-fall] * (N_BLOCKS - layer)
            gradients = [0.0] * (N_BLOCKS - 1) + [-fall]
            trial_id = f"{layer}-{rate}"
            norms = norms_of(logs, implicit_gradient=gradients)
            rows[trial_id] = theory_row(trial_id, [clip_at(layer, "attn", rate)], norms, outcomes=outcomes.tolist())
    return rows
