"""Rank correlations of a study's trials, and of its resamples by layer and by example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.theory.changes import Changes
from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.analysis.theory.ranks import TOGETHER, Floats, spearman_by_group, spearman_to_columns

RESAMPLES = 1000
LEAST_TRIALS, LEAST_LAYERS = 4, 3
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Rank correlation of one quantity with what trials gained.

    Attributes:
        n_trials: That have it, in prompt sets of four or more.
        n_layers: That these clip.
        rho: Over these; NaN where there are none, or where it or the gain does not vary.
        margin_rho: The same with the change of the mean margin; NaN also where some rows have no margins.
        by_layer: In each resample of the layers: shape ``(RESAMPLES,)``; None with fewer than three.
        by_example: In each resample of the examples; the same shape.
    """

    n_trials: int
    n_layers: int
    rho: float
    margin_rho: float
    by_layer: Floats | None
    by_example: Floats


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Trials of one prompt set that have the same quantities measured.

    Attributes:
        names: Of these quantities.
        values: Shape ``(n_quantities, n_trials)``, without NaN.
        gain: Shape ``(n_trials,)``.
        margin: The same; None where a row has no margins.
        layers: Place of each clipped layer among those of all parts; the same shape.
        n_layers: Of all parts.
        turned: As ``Changes.turned``, of these trials.
        n_examples: That each has seen: shape ``(n_trials,)``.
        task: Number of its task.
    """

    names: Sequence[str]
    values: Floats
    gain: Floats
    margin: Floats | None
    layers: NDArray[np.int64]
    n_layers: int
    turned: NDArray[np.int8]
    n_examples: NDArray[np.int64]
    task: int

    @cached_property
    def plain(self) -> Floats:
        """With the gain: shape ``(n_quantities,)``."""
        return spearman_to_columns(self.values, self.gain[:, None])[:, 0]

    @cached_property
    def of_margin(self) -> Floats:
        """With the change of the mean margin; NaN where it is not known."""
        if self.margin is None:
            return np.full(len(self.names), np.nan)
        return spearman_to_columns(self.values, self.margin[:, None])[:, 0]

    @cached_property
    def by_layer(self) -> Floats:
        """In each resample, of which all parts share the drawn layers: shape ``(n_quantities, RESAMPLES)``."""
        return spearman_by_group(self.values, self.gain, self.layers, _draws(self.n_layers, [SEED]))

    @cached_property
    def by_example(self) -> Floats:
        """In each resample, of which all parts of a task share the drawn examples; the same shape."""
        most = self.turned.shape[1]
        turned = self.turned.astype(np.float32)
        drawn = _draws(most, [SEED, self.task]).astype(np.float32)
        found = []
        for first in range(0, RESAMPLES, TOGETHER):
            counts = drawn[first : first + TOGETHER].T
            seen = np.cumsum(counts, axis=0)[self.n_examples - 1]
            found.append(spearman_to_columns(self.values, (turned @ counts) / np.maximum(seen, 1)))
        return np.concatenate(found, axis=1)


def resample(changes: Changes, module: str | None = None) -> dict[str, Resampled]:
    """Rank correlation of every quantity with the gain, within each prompt set, averaged over prompt sets.

    The average is weighted by the number of trials. Prompt sets of fewer than four trials are left out.

    Args:
        changes: Of a study.
        module: Whose trials alone; None for all.
    """
    parts = list(_parts(changes, module))
    return {name: _joined(name, [part for part in parts if name in part.names]) for name in QUANTITIES}


def _joined(name: str, parts: Sequence[_Part]) -> Resampled:
    held = [(part, part.names.index(name)) for part in parts]
    layers = {int(layer) for part in parts for layer in part.layers}
    weights = np.array([len(part.gain) for part in parts], dtype=np.float64)
    return Resampled(
        n_trials=int(weights.sum()),
        n_layers=len(layers),
        rho=float(_average([part.plain[row : row + 1] for part, row in held], weights)[0]),
        margin_rho=float(_average([part.of_margin[row : row + 1] for part, row in held], weights)[0]),
        by_layer=_average([part.by_layer[row] for part, row in held], weights) if len(layers) >= LEAST_LAYERS else None,
        by_example=_average([part.by_example[row] for part, row in held], weights),
    )


def _average(found: Sequence[Floats], weights: Floats) -> Floats:
    """Mean over prompt sets in each resample, of those in which it is defined; NaN where there is none."""
    if not found:
        return np.full(1, np.nan)
    stacked = np.array(found)
    shares = np.where(np.isnan(stacked), 0.0, weights[:, None])
    total = shares.sum(axis=0)
    return np.where(total > 0, (np.nan_to_num(stacked) * shares).sum(axis=0) / np.maximum(total, 1), np.nan)


def _parts(changes: Changes, module: str | None) -> Iterator[_Part]:
    """Trials of each prompt set, those apart that have other quantities measured."""
    wanted = np.array([module is None or trial.module == module for trial in changes.trials], dtype=bool)
    prompts, tasks = changes.prompt_sets, sorted({each.task for each in changes.prompt_sets})
    of_set = np.array([prompts.index(trial.prompts) for trial in changes.trials])
    told = [[trial.quantities[name] for trial in changes.trials] for name in QUANTITIES]
    values = np.array([[np.nan if each is None else each for each in row] for row in told], dtype=np.float64)
    layers = np.array([trial.layer for trial in changes.trials])
    distinct = np.unique(layers[wanted])
    for number, prompt_set in enumerate(prompts):
        among = wanted & (of_set == number)
        masks: dict[bytes, list[int]] = {}
        for row in range(len(QUANTITIES)):
            masks.setdefault((among & ~np.isnan(values[row])).tobytes(), []).append(row)
        for mask, rows in masks.items():
            where = np.flatnonzero(np.frombuffer(mask, dtype=bool))
            if len(where) < LEAST_TRIALS:
                continue
            trials = [changes.trials[each] for each in where]
            margins = [trial.margin for trial in trials if trial.margin is not None]
            n_examples = np.array([trial.n_examples for trial in trials])
            yield _Part(
                names=[list(QUANTITIES)[row] for row in rows],
                values=values[rows][:, where],
                gain=np.array([trial.gain for trial in trials]),
                margin=np.array(margins) if len(margins) == len(trials) else None,
                layers=np.searchsorted(distinct, layers[where]),
                n_layers=len(distinct),
                turned=changes.turned[where, : _most_of(changes, prompt_set.task)],
                n_examples=n_examples,
                task=tasks.index(prompt_set.task),
            )


def _most_of(changes: Changes, task: str) -> int:
    """Examples of a task that any trial has seen: what resamples draw from."""
    return max(trial.n_examples for trial in changes.trials if trial.prompts.task == task)


def _draws(count: int, seed: Sequence[int]) -> Floats:
    """How often each of so many is drawn, as many being drawn with replacement: shape ``(RESAMPLES, count)``."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), RESAMPLES).astype(np.float64)
