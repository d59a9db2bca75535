"""Searches replayed on stored surfaces: what each finds, next to a full grid, and what it costs.

The value of a point is its accuracy on held-out rows. What a search gains over the baseline there is told as a share of
what the paper's search gains: a full grid over all validation rows, which is the yardstick. Figures are medians over
seeds, each with an order of the validation rows, and draws of the sampler, of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any, Literal

import numpy as np

from analysis.pareto import hypervolume
from orchestrator.drivers import Driver
from orchestrator.study import SearchSection
from tests.benchmarks.document import Line, at_least, at_most, print_document, tell
from tests.benchmarks.false_stops import (
    Population,
    count_false_stops,
    made_up,
    of_surface,
    sequential_test,
    wilcoxon,
)
from tests.benchmarks.overhead import overhead_lines
from tests.benchmarks.replay import (
    Grid,
    Replay,
    algorithm1_points,
    bayes,
    measure_paired,
    pick,
    replay,
    replay_scores,
    space_of,
)
from tests.benchmarks.surfaces import Surface, load_published, load_surface, stored_names

Sampler = Literal["tpe", "gp", "nsga2", "cmaes", "qmc", "random"]
SAMPLERS: tuple[Sampler, ...] = ("tpe", "gp", "nsga2", "cmaes", "qmc", "random")
TRIALS_SHARE = 0.15
RACED_SHARE = 0.22  # of the grid's trials, where most see few rows
SOMETHING = 0.02  # to gain on held-out rows; on a flatter surface every search looks good
SEEDS, QUICK_SEEDS = 20, 4
REPLAYS, QUICK_REPLAYS = 500, 50


def trials_of(surface: Surface, share: float = TRIALS_SHARE) -> int:
    """Trials of a search that may run a share of the grid's."""
    return round(share * len(surface.points))


def share_of(surface: Surface, point: int) -> float:
    """What a point gains on held-out rows, as a share of what the full grid's winner gains."""
    yardstick = pick(surface.validation_scores, range(len(surface.points)))
    return float((surface.values[point] - surface.baseline) / (surface.values[yardstick] - surface.baseline))


def describe_surface(surface: Surface) -> Iterator[Line]:
    """What there is to gain, and what the full grid gains of it."""
    yardstick = pick(surface.validation_scores, range(len(surface.points)))
    yield Line(name=f"{surface.name}: points", value=len(surface.points), unit="")
    yield Line(name=f"{surface.name}: to gain, held-out rows", value=100 * surface.gain_to_have, unit="points")
    gained = 100 * (surface.values[yardstick] - surface.baseline)
    yield Line(name=f"{surface.name}: full grid gains, held-out rows", value=float(gained), unit="points")


def search_lines(surface: Surface, seeds: int, *, aims: bool) -> Iterator[Line]:
    """Drivers and races on one surface; with targets where there is something to gain."""
    name, n_trials = surface.name, trials_of(surface)

    def runs(make: Callable[[SearchSection], Driver], **search: Any) -> list[Replay]:
        return [replay(surface, make, seed, seed=seed, **search) for seed in range(seeds)]

    def share(found: Sequence[Replay]) -> float:
        return median(share_of(surface, each.winner) for each in found)

    def least(label: str, value: float, target: float) -> Line:
        return at_least(label, value, "", target) if aims else Line(name=label, value=value, unit="")

    def most(label: str, value: float, target: float) -> Line:
        return at_most(label, value, "", target) if aims else Line(name=label, value=value, unit="")

    space = space_of(surface)
    shares = {
        sampler: share(runs(bayes(space), driver="bayes", sampler=sampler, n_trials=n_trials)) for sampler in SAMPLERS
    }
    for sampler, value in shares.items():
        yield Line(name=f"{name}: bayes, {sampler}, 15 % of the trials, share of the yardstick", value=value, unit="")
    best = max(shares, key=lambda sampler: shares[sampler])
    yield least(f"{name}: bayes, best sampler ({best}), share", shares[best], 0.9)
    points = algorithm1_points(surface)
    chosen = pick(surface.validation_scores, points)
    label = f"{name}: algorithm1, {len(points)} trials, share of the yardstick"
    yield Line(name=label, value=share_of(surface, chosen), unit="")
    same = runs(bayes(space), driver="bayes", sampler="tpe", n_trials=len(points) - 1)
    yield Line(name=f"{name}: bayes, tpe, as many trials, share of the yardstick", value=share(same), unit="")
    halved = runs(lambda _: Grid(surface), race="halving")
    yield least(f"{name}: grid + halving, share of the yardstick", share(halved), 0.95)
    yield most(f"{name}: grid + halving, rows", median(each.rows_share(surface) for each in halved), 0.30)
    yield most(f"{name}: grid + halving, operations", median(each.operations_share(surface) for each in halved), 0.30)
    n_raced = trials_of(surface, RACED_SHARE)
    raced = runs(bayes(space), driver="bayes", sampler="tpe", n_trials=n_raced, race="halving")
    yield least(f"{name}: bayes (tpe) + halving, {n_raced} trials, share of the yardstick", share(raced), 0.9)
    yield most(
        f"{name}: bayes (tpe) + halving, {n_raced} trials, rows",
        median(each.rows_share(surface) for each in raced),
        0.06,
    )
    for sampler in ("tpe", "nsga2", "random"):
        fronts = runs(
            bayes(space), driver="bayes", sampler=sampler, n_trials=n_trials, objectives=["accuracy", "parameters"]
        )
        label = f"{name}: two objectives, {sampler}, hypervolume ÷ that of the exhaustive front"
        volume = median(_volume(surface, each) for each in fronts)
        yield least(label, volume, 0.95) if sampler == "tpe" else Line(name=label, value=volume, unit="")


def _volume(surface: Surface, found: Replay) -> float:
    """Hypervolume of what was found ÷ that of the exhaustive front, on validation."""
    scores, kept = surface.validation_scores, surface.parameters_kept
    reference = float(scores.min()), float(kept.max())
    whole, part = (
        hypervolume([(float(scores[point]), float(kept[point])) for point in points], reference)
        for points in (range(len(surface.points)), found.complete)
    )
    return float(part / whole)


def false_stop_lines(name: str, population: Population, replays: int) -> Iterator[Line]:
    """The sequential test, and the rule of Optuna's Wilcoxon pruner beside it."""
    found = count_false_stops(population, sequential_test, replays)
    label = f"{name}: grid + test"
    yield at_most(f"{label}, studies with a false stop of {replays}", found.rate, "", 0.05)
    yield at_most(f"{label}, upper 95 % bound of that", found.upper_bound, "", 0.07)
    yield Line(name=f"{label}, rows", value=found.rows_share, unit="")
    yield Line(name=f"{label}, operations", value=found.operations_share, unit="")
    other = count_false_stops(population, wilcoxon, replays)
    label = f"{name}: grid + WilcoxonPruner at 5 %"
    yield Line(name=f"{label}, studies with a false stop of {replays}", value=other.rate, unit="")
    yield Line(name=f"{label}, rows", value=other.rows_share, unit="")


def joint_lines(surface: Surface) -> Iterator[Line]:
    """The best joint clip against the best single one, each picked on validation, on held-out rows."""
    singles = [number for number, clips in enumerate(surface.points) if len(clips) <= 1]
    joint = pick(surface.validation_scores, range(len(surface.points)))
    gain = measure_paired(surface, joint, pick(surface.validation_scores, singles))
    label = f"{surface.name}: joint over {surface.axes.max_clips} layers less single, held-out rows"
    yield Line(name=label, value=100 * gain.estimate, unit="points")
    yield Line(name=f"{label}, 95 % interval from", value=100 * gain.low, unit="points")
    yield Line(name=f"{label}, to", value=100 * gain.high, unit="points")


def published_lines(seeds: int) -> Iterator[Line]:
    """Samplers on the published scores, by trials alone."""
    for surface in load_published():
        n_trials = round(TRIALS_SHARE * len(surface.points))
        yield Line(name=f"{surface.name}: to gain", value=100 * surface.gain_to_have, unit="points")
        for sampler in SAMPLERS:
            found = [
                replay_scores(surface, SearchSection(driver="bayes", sampler=sampler, seed=seed, n_trials=n_trials))
                for seed in range(seeds)
            ]
            shares = [(surface.values[each] - surface.baseline) / surface.gain_to_have for each in found]
            label = f"{surface.name}: bayes, {sampler}, {n_trials} trials, share of the best"
            yield Line(name=label, value=float(np.median(shares)), unit="")


def measure(*, quick: bool) -> list[Line]:
    """All lines, told as they come."""
    seeds, replays = (QUICK_SEEDS, QUICK_REPLAYS) if quick else (SEEDS, REPLAYS)
    lines: list[Line] = []
    for name in stored_names():
        surface = load_surface(name)
        lines += tell(list(describe_surface(surface)))
        for part in (
            search_lines(surface, seeds, aims=surface.gain_to_have >= SOMETHING),
            false_stop_lines(name, of_surface(surface), replays),
            joint_lines(surface) if surface.axes.max_clips > 1 else (),
        ):
            lines += tell(list(part))
    lines += tell(list(false_stop_lines("made up, one of 200 better by 1.5 points", made_up(), replays)))
    lines += tell(list(published_lines(seeds)))
    return [*lines, *tell(list(overhead_lines()))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer seeds and replays")
    arguments = parser.parse_args()
    print_document(lambda: measure(quick=arguments.quick))
