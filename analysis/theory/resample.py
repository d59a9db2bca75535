"""Rank correlations of a study's trials, and of its resamples by layer and by example."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.theory.changes import Changes
from clipsweep.analysis.theory.quantities import LEAST_LAYERS, LEAST_TRIALS, QUANTITIES
from clipsweep.analysis.theory.ranks import TOGETHER, Floats, spearman_by_group, spearman_to_columns

RESAMPLES = 1000
SEED = 0


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Rank correlation of one quantity with what trials gained.

    Attributes:
        n_trials: That have it, in prompt sets of four or more.
        n_layers: That these clip.
        rho: Over these; NaN where there are none, or where it or the gain does not vary.
        margin_rho: The same with the change of the mean margin; NaN also where some rows have no margins.
        by_layer: In each resample of the layers: shape ``(RESAMPLES,)``; None with fewer than three, of one module, and
            without ``rho``. A resample in which nothing varies counts as 0: were it left out, what one layer alone
            gains would be in all others, and would look sure.
        by_example: In each resample of the examples; the same shape; None of one module, and without ``rho``.
    """

    n_trials: int
    n_layers: int
    rho: float
    margin_rho: float
    by_layer: Floats | None
    by_example: Floats | None


@dataclass(frozen=True, kw_only=True)
class _Examples:
    """What the trials of one prompt set did to the examples.

    Attributes:
        turned: As ``Changes.turned``, of these trials.
        n_examples: That each has seen: shape ``(n_trials,)``.
        drawn: How often each resample holds each example, the same for all prompt sets of a task: shape
            ``(RESAMPLES, most examples)``.
    """

    turned: NDArray[np.int8]
    n_examples: NDArray[np.int64]
    drawn: NDArray[np.float32]

    @cached_property
    def gains(self) -> NDArray[np.float32]:
        """What each trial gains in each resample: shape ``(n_trials, RESAMPLES)``."""
        turned, found = self.turned.astype(np.float32), np.empty((len(self.turned), RESAMPLES), dtype=np.float32)
        for first in range(0, RESAMPLES, TOGETHER):
            counts = self.drawn[first : first + TOGETHER].T
            seen = np.cumsum(counts, axis=0)[self.n_examples - 1]
            np.divide(turned @ counts, np.maximum(seen, 1), out=found[:, first : first + TOGETHER])
        return found


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Trials of one prompt set that have the same quantities measured.

    Attributes:
        names: Of these quantities.
        values: Shape ``(n_quantities, n_trials)``, without NaN.
        gain: Shape ``(n_trials,)``.
        margin: The same; None where a row has no margins.
        layers: Place of each clipped layer among those of all parts; the same shape.
        drawn_layers: How often each resample holds each layer, the same for all parts: shape ``(RESAMPLES, n_layers)``.
        examples: Of all trials of the prompt set.
        among: Places of these trials there.
    """

    names: Sequence[str]
    values: Floats
    gain: Floats
    margin: Floats | None
    layers: NDArray[np.int64]
    drawn_layers: Floats
    examples: _Examples
    among: NDArray[np.int64]

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
        """In each resample of the layers: shape ``(n_quantities, RESAMPLES)``."""
        return spearman_by_group(self.values, self.gain, self.layers, self.drawn_layers)

    @cached_property
    def by_example(self) -> Floats:
        """In each resample of the examples; the same shape."""
        return np.nan_to_num(spearman_to_columns(self.values, self.examples.gains[self.among]))


def resample(changes: Changes, module: str | None = None) -> dict[str, Resampled]:
    """Rank correlation of every quantity with the gain, within each prompt set, averaged over prompt sets.

    The average is weighted by the number of trials. Left out are prompt sets of fewer than four trials, and those in
    which the quantity or the gain does not vary.

    Args:
        changes: Of a study.
        module: Whose trials alone, without resamples; None for all.
    """
    parts = list(_parts(changes, module))
    of_name = {name: [part for part in parts if name in part.names] for name in QUANTITIES}
    return {name: _joined(name, each, resampled=module is None) for name, each in of_name.items()}


def _joined(name: str, parts: Sequence[_Part], *, resampled: bool) -> Resampled:
    held = [(part, part.names.index(name)) for part in parts]
    ranked = [(part, row) for part, row in held if not np.isnan(part.plain[row])]
    with_margins = [(part, row) for part, row in held if not np.isnan(part.of_margin[row])]
    layers = {int(layer) for part in parts for layer in part.layers}
    resampled = resampled and bool(ranked)
    return Resampled(
        n_trials=sum(len(part.gain) for part in parts),
        n_layers=len(layers),
        rho=float(_mean([(part, part.plain[row]) for part, row in ranked])),
        margin_rho=float(_mean([(part, part.of_margin[row]) for part, row in with_margins])),
        by_layer=_mean([(part, part.by_layer[row]) for part, row in ranked])
        if resampled and len(layers) >= LEAST_LAYERS
        else None,
        by_example=_mean([(part, part.by_example[row]) for part, row in ranked]) if resampled else None,
    )


def _mean(found: Sequence[tuple[_Part, Floats]]) -> Floats:
    """Over prompt sets, by their number of trials, in each resample; NaN of none."""
    trials = sum(len(part.gain) for part, _ in found)
    return np.asarray(sum(len(part.gain) * each for part, each in found) / trials if found else np.nan)


def _parts(changes: Changes, module: str | None) -> Iterator[_Part]:
    """Trials of each prompt set, those apart that have other quantities measured."""
    wanted = np.array([module is None or trial.module == module for trial in changes.trials], dtype=bool)
    prompts = changes.prompt_sets
    number_of = {each: number for number, each in enumerate(prompts)}
    of_set = np.array([number_of[trial.prompts] for trial in changes.trials])
    told = [[trial.quantities[name] for trial in changes.trials] for name in QUANTITIES]
    values = np.array([[np.nan if each is None else each for each in row] for row in told], dtype=np.float64)
    layers = np.array([trial.layer for trial in changes.trials])
    gain = np.array([trial.gain for trial in changes.trials])
    margin = np.array([np.nan if trial.margin is None else trial.margin for trial in changes.trials])
    distinct = np.unique(layers[wanted])
    resamples = RESAMPLES if module is None else 0
    drawn_layers, drawn = _draws(max(len(distinct), 1), [SEED], resamples), _drawn_examples(changes, resamples)
    for number, prompt_set in enumerate(prompts):
        within = np.flatnonzero(wanted & (of_set == number))
        examples = _Examples(
            turned=changes.turned[within, : drawn[prompt_set.task].shape[1]],
            n_examples=np.array([changes.trials[each].n_examples for each in within], dtype=np.int64),
            drawn=drawn[prompt_set.task],
        )
        masks: dict[bytes, list[int]] = {}
        for row in range(len(QUANTITIES)):
            masks.setdefault((~np.isnan(values[row, within])).tobytes(), []).append(row)
        for mask, rows in masks.items():
            among = np.flatnonzero(np.frombuffer(mask, dtype=bool))
            where = within[among]
            if len(where) < LEAST_TRIALS:
                continue
            yield _Part(
                names=[list(QUANTITIES)[row] for row in rows],
                values=values[rows][:, where],
                gain=gain[where],
                margin=None if np.isnan(margin[where]).any() else margin[where],
                layers=np.searchsorted(distinct, layers[where]),
                drawn_layers=drawn_layers,
                examples=examples,
                among=among,
            )


def _drawn_examples(changes: Changes, resamples: int) -> dict[str, NDArray[np.float32]]:
    """By task how often each resample holds each of the examples that any trial has seen."""
    most: dict[str, int] = {}
    for trial in changes.trials:
        most[trial.prompts.task] = max(trial.n_examples, most.get(trial.prompts.task, 0))
    counts = enumerate(sorted(most.items()))
    return {task: _draws(count, [SEED, number], resamples).astype(np.float32) for number, (task, count) in counts}


def _draws(count: int, seed: Sequence[int], resamples: int) -> Floats:
    """How often each of so many is drawn, as many being drawn with replacement: shape ``(resamples, count)``."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), resamples).astype(np.float64)
