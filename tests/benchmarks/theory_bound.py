"""Whether Theorem 2's bound orders clips as their errors do: rank correlations over every clip of trained stacks."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

from clipsweep.trials.theory.bound import Singular
from tests.benchmarks.theory_stack import (
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


SCORES: dict[str, Score] = {
    "bound, singular C_t refused": _bound("refuse", SETS, "product"),
    **{
        f"bound, C_t shrunk, {sets} sets, {form} form": _bound("shrink", sets, form)
        for sets in (SETS, FEWER)
        for form in ("product", "tight")
    },
    **{f"bound, range of C_t, {form} form": _bound("range", SETS, form) for form in ("product", "tight")},
    "Σ rank of C_t": lambda each: float(sum(block.rank for block in each.bounds["range", SETS][0].blocks)),
    "Σ log |ΔW_t|": lambda each: each.log_updates,
    "Σ log |G_t|": lambda each: each.log_gradients,
}
TARGETS: dict[str, Callable[[Clipped], float]] = {
    "generalization error": lambda each: each.gap,
    "population risk": lambda each: each.population,
}
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
        "correlations": list(_correlations(stacks)),
        "changes": list(_changes(stacks)),
        "untouched": [_figures(stack[0]) for stack in stacks],
        "clips": [{"model": seed} | _figures(each) for seed, stack in enumerate(stacks) for each in stack[1:]],
    }


def _figures(each: Clipped) -> dict[str, Any]:
    """What was measured of a stack."""
    shrunk = each.bounds["shrink", SETS][0]
    return {
        "block": each.block,
        "matrix": each.matrix,
        "rank": each.rank,
        "population_risk": each.population,
        "generalization_error": each.gap,
        **{name: score(each) for name, score in SCORES.items()},
        "rank_of_covariances": [block.rank for block in shrunk.blocks],
        "shrinkage": [block.shrinkage for block in shrunk.blocks],
        "refusal": each.bounds["refuse", SETS][0].reason,
    }


def _correlations(stacks: Sequence[Sequence[Clipped]]) -> Iterator[dict[str, Any]]:
    """Spearman's, within each stack over its clips, the mean of stacks; intervals by drawing clips of a matrix anew."""
    rng = np.random.default_rng(0)
    for name, score in SCORES.items():
        for target, measured in TARGETS.items():
            pairs = [[(score(each), measured(each)) for each in stack[1:]] for stack in stacks]
            if any(value is None for stack in pairs for value, _ in stack):
                missing = sum(value is None for stack in pairs for value, _ in stack)
                yield {"score": name, "target": target, "without_a_value": missing, "correlation": None}
                continue
            tables = [np.array(stack, dtype=np.float64).reshape(-1, WIDTH - 1, 2) for stack in pairs]
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


def _resample(table: Table, rng: np.random.Generator) -> Table:
    """Matrices of the stack drawn with replacement, each with all its ranks."""
    return table[rng.integers(0, len(table), len(table))]


def _mean_correlation(tables: Sequence[Table]) -> float:
    flat = [table.reshape(-1, 2) for table in tables]
    return fmean(float(spearmanr(each[:, 0], each[:, 1]).statistic) for each in flat)


def _changes(stacks: Sequence[Sequence[Clipped]]) -> Iterator[dict[str, Any]]:
    """Mean change by a clip, for each block and matrix, over ranks and stacks."""
    names = [name for name in SCORES if "refused" not in name]
    for block in range(BLOCKS):
        for matrix in MATRICES:
            pairs = [
                (each, stack[0])
                for stack in stacks
                for each in stack[1:]
                if (each.block, each.matrix) == (block, matrix)
            ]
            yield {
                "block": block,
                "matrix": matrix,
                "clips": len(pairs),
                "generalization_error": fmean(one.gap - other.gap for one, other in pairs),
                "population_risk": fmean(one.population - other.population for one, other in pairs),
                **{name: fmean(_value(name, one) - _value(name, other) for one, other in pairs) for name in names},
            }


def _value(name: str, each: Clipped) -> float:
    value = SCORES[name](each)
    assert value is not None
    return value
