"""The table that ``--dry-run`` tells expectations by: what searches find at several budgets on the stored surfaces.

    python -m tests.benchmarks.expectations          # writes orchestrator/plan/replayed.csv; some minutes of one core

Surfaces with nothing to gain are left out. Draws and orders of rows are seeded, so the same code writes the same table.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipsweep.orchestrator.plan.replayed import FILE, UNLUCKY, Replayed, write_replayed
from clipsweep.orchestrator.study.names import BAYES, GRID, HALVING, NEIGHBOURS, SEQUENTIAL_TEST
from tests.benchmarks.replay import Grid, Replay, bayes, replay, space_of
from tests.benchmarks.search import SOMETHING, share_of
from tests.benchmarks.surfaces import Surface, load_surface, stored_names

GRID_SHARES = (0.1, 0.25, 0.5, 1.0)  # of the points
TRIALS = (10, 25, 50, 100)
SLOW_TRIALS = (10, 40)  # of a sampler that thinks for long
SEEDS, FEW_SEEDS = 20, 10
SAMPLERS = (  # seeds by race, and budgets; nsga2 is for two objectives, and cmaes found little
    (NEIGHBOURS, {NEIGHBOURS: SEEDS}, TRIALS),
    ("tpe", {"": SEEDS, HALVING: SEEDS, NEIGHBOURS: FEW_SEEDS, SEQUENTIAL_TEST: FEW_SEEDS}, TRIALS),
    ("random", {"": FEW_SEEDS, HALVING: FEW_SEEDS}, TRIALS),
    ("qmc", {"": FEW_SEEDS, HALVING: FEW_SEEDS}, TRIALS),
    ("gp", {"": FEW_SEEDS, HALVING: FEW_SEEDS}, SLOW_TRIALS),
)
Run = Callable[[int, int], Replay]  # by the number of trials and the seed


def lines_of(surface: Surface) -> Iterator[Replayed]:
    """All lines of a surface; no study visits joint clips as a grid."""
    if surface.axes.max_clips == 1:
        yield from _grid_lines(surface)
    for sampler, races, budgets in SAMPLERS:
        for race, seeds in races.items():
            run = _search(surface, sampler, race)
            yield from _replays(surface, run, budgets, seeds, driver=BAYES, sampler=sampler, race=race)


def _grid_lines(surface: Surface) -> Iterator[Replayed]:
    """A raced grid, as far as it goes in its own order; without a race the whole has all that there is to gain."""
    budgets = [round(share * (len(surface.points) - 1)) for share in GRID_SHARES]
    for race, seeds in ((HALVING, SEEDS), (NEIGHBOURS, SEEDS), (SEQUENTIAL_TEST, FEW_SEEDS)):
        yield from _replays(surface, _visit(surface, race), budgets, seeds, driver=GRID, sampler="", race=race)


def _visit(surface: Surface, race: str) -> Run:
    """A raced grid."""
    return lambda n_trials, seed: replay(
        surface, lambda _: Grid(surface), seed, driver=GRID, seed=seed, race=race, n_trials=n_trials
    )


def _search(surface: Surface, sampler: str, race: str) -> Run:
    """A sampler, raced or not; without a race it evaluates all rows of every point."""
    make = bayes(space_of(surface))
    return lambda n_trials, seed: replay(
        surface, make, seed, driver=BAYES, sampler=sampler, seed=seed, race=race or None, n_trials=n_trials
    )


def _replays(surface: Surface, run: Run, budgets: Sequence[int], seeds: int, **kind: str) -> Iterator[Replayed]:
    """A search of its own for each budget, as how long a sampler draws at random depends on it."""
    for n_trials in budgets:
        found = [run(n_trials, seed) for seed in range(seeds)]
        costs = [_cost(surface, each, n_trials) for each in found]
        yield _line(surface, n_trials, [each.winner for each in found], costs, **kind)


def _cost(surface: Surface, found: Replay, n_trials: int) -> tuple[float, float]:
    """Rows evaluated ÷ all rows of all trials, and the same of operations; a search may end before its last trial."""
    n_rows, begun = surface.validation.shape[1], list(found.seen)
    rows = np.array([found.seen[point] for point in begun]) / n_rows
    operations, went = surface.operations[begun], len(begun) / (1 + n_trials)
    return went * float(rows.mean()), went * float((rows * operations).sum() / operations.sum())


def _line(
    surface: Surface, n_trials: int, winners: Sequence[int], costs: Sequence[tuple[float, float]], **kind: Any
) -> Replayed:
    shares = [share_of(surface, winner) for winner in winners]
    rows_share, operations_share = np.median(np.array(costs), axis=0)
    return Replayed(
        surface=surface.name,
        points=len(surface.points) - 1,
        max_clips=surface.axes.max_clips,
        rows=surface.validation.shape[1],
        n_trials=n_trials,
        seeds=len(winners),
        median=float(np.median(shares)),
        unlucky=float(np.quantile(shares, UNLUCKY)),
        rows_share=float(rows_share),
        operations_share=float(operations_share),
        **kind,
    )


def measure(names: Sequence[str]) -> Iterator[Replayed]:
    """The lines of surfaces that have something to gain, told as they come."""
    for surface in map(load_surface, names):
        if surface.gain_to_have < SOMETHING:
            continue
        for line in lines_of(surface):
            search = " ".join(filter(None, (line.driver, line.sampler, line.race)))
            print(f"{line.surface}: {search}, {line.n_trials} trials: {line.median:.2f}", file=sys.stderr, flush=True)
            yield line


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=FILE, help="where the table is written")
    write_replayed(list(measure(stored_names())), parser.parse_args().out)
