"""Greedy composition against the best single clip and against the Bayesian driver over several clips at once.

All are replayed on the stored surface ``embedded-joint``: four layers, each clipped at one of three rates or not at
all. What a search found is worth its accuracy on the held-out rows, less the untouched model's. That is told twice: of
searches on all validation rows, with the paired interval over held-out rows; and over seeds, each with half of the
validation rows, drawn at random, and sampler's draws of its own, with the bootstrap interval of the mean over seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.winners.gain import Paired, bootstrap
from clipsweep.orchestrator.drivers.compose import ComposeDriver
from clipsweep.orchestrator.space.composition import compose
from clipsweep.orchestrator.space.proposal import Choice
from tests.benchmarks.document import Line, print_document, tell
from tests.benchmarks.replay import Replay, bayes, measure_paired, pick, replay, space_of
from tests.benchmarks.surfaces import Surface, load_surface

SURFACE = "embedded-joint"
SEEDS, QUICK_SEEDS = 40, 8
MIN_GAINS = (0.0, 0.01)
BUDGETS, QUICK_BUDGETS = (12, 25, 50, 100), (12, 50)  # points of the sampler; a composition of four steps has 12
Search = Callable[[Surface, int], Replay]


def composed(surface: Surface, seed: int, min_gain: float = 0.0) -> Replay:
    """A composition, which draws nothing; its winner is what it keeps."""
    space = replace(space_of(surface), min_gain=min_gain)

    def score(choice: Choice) -> float:
        return float(surface.validation_scores[surface.index_of(choice.clips)])

    found = replay(surface, lambda _: ComposeDriver(space), seed, driver="compose", min_gain=min_gain)
    found.winner = surface.index_of(compose(space, surface.axes.shots, score).kept.clips)
    return found


def best_single(surface: Surface, seed: int) -> Replay:
    """A grid over the points of one clip at most."""
    singles = [number for number, clips in enumerate(surface.points) if len(clips) <= 1]
    n_rows: int = surface.validation.shape[1]
    seen = dict.fromkeys(singles, n_rows)
    return Replay(seen=seen, order=singles, complete=singles, winner=pick(surface.validation_scores, singles))


def sampled(surface: Surface, seed: int, n_trials: int) -> Replay:
    """The default sampler over up to four clips at once."""
    return replay(surface, bayes(space_of(surface)), seed, driver="bayes", seed=seed, n_trials=n_trials)


def searches(budgets: Sequence[int]) -> dict[str, Search]:
    """What is compared, by its name; the first is what the others are compared with."""
    compositions = {f"compose, min_gain {least:g}": partial(composed, min_gain=least) for least in MIN_GAINS}
    samplers = {f"bayes (tpe, up to 4 clips), {n} trials": partial(sampled, n_trials=n) for n in budgets}
    return {**compositions, "best single clip": best_single, **samplers}


def half_of(surface: Surface, seed: int) -> Surface:
    """The surface with a random half of its validation rows, the same for all points."""
    n_rows = surface.validation.shape[1]
    chosen = np.sort(np.random.default_rng(seed).permutation(n_rows)[: n_rows // 2])
    return replace(surface, validation=surface.validation[:, chosen], margins=surface.margins[:, chosen])


def lines(quick: bool) -> Iterator[Line]:
    """What each search finds and what it costs; what a composition finds more than each of the others."""
    surface, seeds = load_surface(SURFACE), QUICK_SEEDS if quick else SEEDS
    compared = searches(QUICK_BUDGETS if quick else BUDGETS)
    yield from _on_all_rows(surface, compared)
    yield from _over_seeds(surface, compared, seeds)


def _on_all_rows(surface: Surface, compared: dict[str, Search]) -> Iterator[Line]:
    """Searches that draw nothing, on all validation rows."""
    found = {name: search(surface, 0) for name, search in compared.items() if not name.startswith("bayes")}
    first = next(iter(found))
    for name, each in found.items():
        yield _line(f"{name}, all validation rows: rows evaluated", sum(each.seen.values()), "rows")
        yield from _paired(surface, f"{name}, all validation rows: gain over the untouched model", each.winner, 0)
        if name != first:
            label = f"{first} less {name}, all validation rows"
            yield from _paired(surface, label, found[first].winner, each.winner)
    full = pick(surface.validation_scores, range(len(surface.points)))
    yield _line("full grid, all validation rows: rows evaluated", surface.validation.size, "rows")
    yield from _paired(surface, "full grid, all validation rows: gain over the untouched model", full, 0)


def _paired(surface: Surface, label: str, point: int, other: int) -> Iterator[Line]:
    gain = measure_paired(surface, point, other)
    yield from _interval(f"{label}, held-out rows", gain.estimate, gain.low, gain.high)


def _over_seeds(surface: Surface, compared: dict[str, Search], seeds: int) -> Iterator[Line]:
    """All searches, each seed on its half of the validation rows."""
    gains: dict[str, NDArray[np.float64]] = {}
    halves = [half_of(surface, seed) for seed in range(seeds)]
    for name, search in compared.items():
        found = [search(half, seed) for seed, half in enumerate(halves)]
        rows = float(np.mean([sum(each.seen.values()) for each in found]))
        gains[name] = np.array([surface.values[each.winner] - surface.baseline for each in found])
        yield _line(f"{name}, {seeds} seeds: rows evaluated, mean", rows, "rows")
        yield from _mean(f"{name}, {seeds} seeds: gain over the untouched model", gains[name])
    first = next(iter(gains))
    for name in list(gains)[1:]:
        yield from _mean(f"{first} less {name}, {seeds} seeds", gains[first] - gains[name])


def _mean(label: str, values: NDArray[np.float64]) -> Iterator[Line]:
    ends = bootstrap([Paired(differences=values)])
    yield from _interval(f"{label}, held-out rows, mean", float(values.mean()), *ends)


def _interval(label: str, estimate: float, low: float, high: float) -> Iterator[Line]:
    yield _line(label, 100 * estimate, "points")
    yield _line(f"{label}, 95 % interval from", 100 * low, "points")
    yield _line(f"{label}, to", 100 * high, "points")


def _line(name: str, value: float, unit: str) -> Line:
    return Line(name=name, value=value, unit=unit)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer seeds and trials")
    quickly = parser.parse_args().quick
    print_document(lambda: [line for each in lines(quickly) for line in tell([each])])
