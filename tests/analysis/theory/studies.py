"""Stored rows of made-up studies whose norms were measured."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
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


def sparse_study(
    gaining: Collection[int], rates: Sequence[float] = (0.3, 0.5, 0.9), gaining_trials: int | None = None
) -> dict[str, StoredRow]:
    """A study in which the trials of a few layers alone lose answers, more of them where norms fall less.

    Args:
        gaining: These layers.
        rates: At which each layer is clipped.
        gaining_trials: How many trials of each of these layers, those of the largest rates; None for all.
    """
    rows = {"base": theory_row("base", norms=norms_of([0.0] * N_BLOCKS), outcomes=[True] * N_EXAMPLES)}
    for layer in range(N_BLOCKS):
        for place, rate in enumerate(rates):
            loses = layer in gaining and place >= len(rates) - (gaining_trials or len(rates))
            outcomes = [not (loses and example <= place) for example in range(N_EXAMPLES)]
            logs = [0.0] * layer + [rate if layer in gaining else -rate - layer] * (N_BLOCKS - layer)
            trial_id = f"{layer}-{rate}"
            rows[trial_id] = theory_row(trial_id, [clip_at(layer, "attn", rate)], norms_of(logs), outcomes=outcomes)
    return rows
