"""Whether Theorem 2's bound orders clips as their errors do: rank correlations over every clip of trained stacks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from clipsweep.trials.theory.bound import Singular
from tests.benchmarks.theory_stack import (
    BATCHES,
    BLOCKS,
    DEMONSTRATIONS,
    FEWER,
    INPUTS,
    LIMIT,
    MATRICES,
    NOISE,
    QUERIES,
    SETS,
    TASKS,
    WIDTH,
    Clipped,
    draw_sets,
    every_clip,
    mean_bound,
    train,
)

MODELS, RESAMPLES = 4, 1000
Score = Callable[[Clipped], float | None]


def _bound(singular: Singular, sets: int, form: str) -> Score:
    return lambda each: mean_bound(each, singular, sets, form)


def _own_bound(batch: int) -> Score:
    return lambda each: each.own_bounds[batch]


SCORES: dict[str, Score] = {
    "bound, singular C_t refused": _bound("refuse", SETS, "product"),
    **{
        f"bound, C_t shrunk, {sets} sets, {form} form": _bound("shrink", sets, form)
        for sets in (SETS, FEWER)
        for form in ("product", "tight")
    },
    **{f"bound, range of C_t, {form} form": _bound("range", SETS, form) for form in ("product", "tight")},
    **{f"bound, range of the paper's C_t, b = {batch}, tight form": _own_bound(batch) for batch in BATCHES},
    "Σ rank of C_t": lambda each: float(sum(block.rank for block in each.bounds["range", SETS][0].blocks)),
    "Σ rank of the paper's C_t": lambda each: float(sum(each.own_ranks)),
    "Σ log ‖ΔW_t‖": lambda each: each.log_updates,
    "Σ log ‖G_t‖": lambda each: each.log_gradients,
}
TARGETS = ("generalization error", "population risk")
Figures = Mapping[str, Any]  # what was measured of one stack, as the document has it
Table = NDArray[np.float64]


def bound_figures() -> dict[str, Any]:
    """Train the stacks, clip them in every way, and correlate."""
    stacks = []
    for seed in range(MODELS):
        started = time.monotonic()
        blocks = train(seed)
        drawn = draw_sets(torch.Generator().manual_seed(100 + seed), TASKS, SETS, QUERIES)
        stacks.append(every_clip(blocks, drawn))
        print(f"stack {seed}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    untouched = [_figures(stack[0]) for stack in stacks]
    clips = [{"stack": seed} | _figures(each) for seed, stack in enumerate(stacks) for each in stack[1:]]
    return {
        "settings": {
            "models": MODELS,
            "inputs": INPUTS,
            "blocks": BLOCKS,
            "entries": WIDTH**2,
            "demonstrations": DEMONSTRATIONS,
            "label_noise": NOISE,
            "tasks": TASKS,
            "sets": SETS,
            "spread": LIMIT / 2,
        },
        "correlations": list(correlations(clips)),
        "correlations_of_full_rank": dict(correlations_of_full_rank(untouched[0], clips)),
        "changes": list(changes(untouched, clips)),
        "untouched": untouched,
        "clips": clips,
    }


def _figures(each: Clipped) -> dict[str, Any]:
    """What was measured of a stack."""
    shrunk = each.bounds["shrink", SETS][0]
    return {
        "block": each.block,
        "matrix": each.matrix,
        "rank": each.rank,
        "generalization error": each.gap,
        "population risk": each.population,
        **{name: score(each) for name, score in SCORES.items()},
        "rank_of_covariances": [block.rank for block in shrunk.blocks],
        "shrinkage": [block.shrinkage for block in shrunk.blocks],
        "rank_of_the_papers_covariances": each.own_ranks,
        "refusal": each.bounds["refuse", SETS][0].reason,
    }


def correlations(clips: Sequence[Figures]) -> Iterator[dict[str, Any]]:
    """Spearman's, within each stack over its clips, the mean of stacks; intervals by drawing matrices anew."""
    rng = np.random.default_rng(0)
    for name, target in product(SCORES, TARGETS):
        missing = sum(each[name] is None for each in clips)
        if missing:
            yield {"score": name, "target": target, "without_a_value": missing, "correlation": None}
            continue
        pairs = np.array([[each[name], each[target]] for each in clips], dtype=np.float64)
        tables = pairs.reshape(MODELS, BLOCKS * len(MATRICES), WIDTH - 1, 2)
        drawn = [_mean_correlation([_resample(table, rng) for table in tables]) for _ in range(RESAMPLES)]
        low, high = np.quantile(drawn, [0.025, 0.975])
        yield {
            "score": name,
            "target": target,
            "correlation": _mean_correlation(tables),
            "low": float(low),
            "high": float(high),
            "of_each_stack": [_mean_correlation([table]) for table in tables],
        }


def correlations_of_full_rank(untouched: Figures, clips: Sequence[Figures]) -> Iterator[tuple[str, list[float]]]:
    """Spearman's with the generalization error of each stack, over the clips that leave all directions to G_t."""
    full = [each for each in clips if each["rank_of_covariances"] == untouched["rank_of_covariances"]]
    for name in (name for name in SCORES if name.startswith("bound, range")):
        pairs = np.array([[each[name], each[TARGETS[0]]] for each in full], dtype=np.float64).reshape(MODELS, -1, 2)
        yield name, [_mean_correlation([table]) for table in pairs]


def _resample(table: Table, rng: np.random.Generator) -> Table:
    """Matrices of a stack drawn with replacement, each with all its ranks."""
    return table[rng.integers(0, len(table), len(table))]


def _mean_correlation(tables: Iterable[Table]) -> float:
    """Mean of Spearman's correlations; 0 of clips that a score does not tell apart."""
    flat = [table.reshape(-1, 2) for table in tables]
    return fmean(float(spearmanr(*each.T).statistic) if np.ptp(each[:, 0]) else 0.0 for each in flat)


def changes(untouched: Sequence[Figures], clips: Sequence[Figures]) -> Iterator[dict[str, Any]]:
    """Mean change by a clip, for each block and matrix, over ranks and stacks."""
    names = [*TARGETS, *(name for name in SCORES if clips[0][name] is not None)]
    for block, matrix in product(range(BLOCKS), MATRICES):
        found = [each for each in clips if (each["block"], each["matrix"]) == (block, matrix)]
        means = {name: fmean(each[name] - untouched[each["stack"]][name] for each in found) for name in names}
        yield {"block": block, "matrix": matrix, "clips": len(found)} | means
