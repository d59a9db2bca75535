"""Searches replayed on stored surfaces: what each finds, next to a full grid, and what it costs.

The value of a point is its accuracy on held-out rows. What a search gains over the baseline there is told as a share of
what the paper's search gains: a full grid over all validation rows, which is the yardstick. Figures are medians over
seeds, each with an order of the validation rows, and draws of the sampler, of its own.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from statistics import median
from typing import Any, Literal

import numpy as np

from clipsweep.analysis.winners.pareto import hypervolume
from clipsweep.orchestrator.study.schema import SearchSection
from tests.benchmarks.best_arm import best_arm_lines
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
from tests.benchmarks.screened import load_screens, screen_lines
from tests.benchmarks.surfaces import Surface, load_published, load_surface, stored_names

Sampler = Literal["tpe", "gp", "nsga2", "cmaes", "qmc", "random"]
SAMPLERS: tuple[Sampler, ...] = ("tpe", "gp", "nsga2", "cmaes", "qmc", "random")
TRIALS_SHARE = 0.15
RACED_SHARE = 0.27  # of the grid's trials, where most see few rows
NEIGHBOURS_SHARE, NEIGHBOURS_SEEDS = 0.23, 40
SHARES_TRIED = (1, 0.85, 0.7, 0.55, 0.4, 0.27, 0.15, 0.1, 0.05, 0.02)
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
    replays = _Replays(surface, seeds, aims=aims)
    yield from _sampler_lines(replays)
    yield from _race_lines(replays)
    yield from _front_lines(replays)


class _Replays:
    """Replays of a surface, and their lines."""

    def __init__(self, surface: Surface, seeds: int, *, aims: bool) -> None:
        self.surface = surface
        self.points = algorithm1_points(surface)
        self._space = space_of(surface)
        self._seeds = seeds
        self._aims = aims

    def grid(self, *, plain: bool = False, **search: Any) -> list[Replay]:
        """Every point, a replay for each seed; ``plain`` without margins."""
        return [
            replay(self.surface, lambda _: Grid(self.surface), seed, plain=plain, seed=seed, **search)
            for seed in range(self._seeds)
        ]

    def bayes(
        self, *, plain: bool = False, screened: bool = False, seeds: int | None = None, **search: Any
    ) -> list[Replay]:
        """A sampler's points, which a screen may open; ``seeds`` where there are more of them than usual."""
        make = bayes(self._space)
        screens = load_screens(self.surface) if screened else None
        return [
            replay(self.surface, make, seed, plain=plain, screens=screens, driver="bayes", seed=seed, **search)
            for seed in range(self._seeds if seeds is None or self._seeds < SEEDS else seeds)
        ]

    def shares(self, found: Sequence[Replay]) -> list[float]:
        return [share_of(self.surface, each.winner) for each in found]

    def rows(self, found: Sequence[Replay]) -> float:
        return median(each.rows_share(self.surface) for each in found)

    def operations(self, found: Sequence[Replay]) -> float:
        return median(each.operations_share(self.surface) for each in found)

    def line(self, label: str, value: float, *, least: float | None = None, most: float | None = None) -> Line:
        """A line of this surface, with its target where the surface has one."""
        name = f"{self.surface.name}: {label}"
        if self._aims and least is not None:
            return at_least(name, value, "", least)
        if self._aims and most is not None:
            return at_most(name, value, "", most)
        return Line(name=name, value=value, unit="")

    def share_lines(self, label: str, found: Sequence[Replay], least: float | None = None) -> Iterator[Line]:
        """The median share, and how many of the seeds come to nearly all of the yardstick."""
        shares = self.shares(found)
        yield self.line(f"{label}, share of the yardstick", median(shares), least=least)
        yield self.line(f"{label}, seeds with a share of 0.9 or more", float(np.mean(np.array(shares) >= 0.9)))


def _sampler_lines(replays: _Replays) -> Iterator[Line]:
    """Samplers without a race, and Algorithm 1."""
    surface, n_trials = replays.surface, trials_of(replays.surface)
    runs = {sampler: replays.bayes(sampler=sampler, n_trials=n_trials) for sampler in SAMPLERS}
    for sampler, found in runs.items():
        label = f"bayes, {sampler}, 15 % of the trials, share of the yardstick"
        yield replays.line(label, median(replays.shares(found)))
    best = max(SAMPLERS, key=lambda sampler: median(replays.shares(runs[sampler])))
    yield from replays.share_lines(f"bayes, best sampler ({best}), 15 % of the trials", runs[best], least=0.9)
    chosen, count = pick(surface.validation_scores, replays.points), len(replays.points)
    yield replays.line(f"algorithm1, {count} trials, share of the yardstick", share_of(surface, chosen))
    same = replays.bayes(sampler="tpe", n_trials=count - 1)
    yield replays.line("bayes, tpe, as many trials, share of the yardstick", median(replays.shares(same)))


def _race_lines(replays: _Replays) -> Iterator[Line]:
    """Halving over the grid and over a sampler's points, by smoothed accuracy and, beside it, by accuracy itself."""
    surface = replays.surface
    halved = replays.grid(race="halving")
    yield from replays.share_lines("grid + halving", halved, least=0.95)
    yield replays.line("grid + halving, rows", replays.rows(halved), most=0.30)
    yield replays.line("grid + halving, operations", replays.operations(halved), most=0.30)
    yield from replays.share_lines("grid + halving by accuracy", replays.grid(plain=True, race="halving"))
    count = trials_of(surface, RACED_SHARE)
    raced = replays.bayes(sampler="tpe", n_trials=count, race="halving")
    yield from replays.share_lines(f"bayes (tpe) + halving, {count} trials", raced, least=0.9)
    yield replays.line(f"bayes (tpe) + halving, {count} trials, rows", replays.rows(raced), most=0.06)
    opened = replays.bayes(screened=True, sampler="tpe", n_trials=count, race="halving")
    yield from replays.share_lines(f"bayes (tpe) + halving, {count} trials, a screen", opened)
    yield replays.line(f"bayes (tpe) + halving, {count} trials, a screen, rows", replays.rows(opened))
    yield from _neighbour_lines(replays)
    plain = replays.bayes(plain=True, sampler="tpe", n_trials=count, race="halving")
    yield from replays.share_lines(f"bayes (tpe) + halving by accuracy, {count} trials", plain)
    allowed = len(replays.points) / len(surface.points)
    counts = sorted({max(1, trials_of(surface, share)) for share in SHARES_TRIED}, reverse=True)
    tried = ((count, replays.bayes(sampler="tpe", n_trials=count, race="halving")) for count in counts)
    for count, found in tried:
        if replays.rows(found) <= allowed:
            label = f"bayes (tpe) + halving, {count} trials, no more rows than algorithm1's"
            yield replays.line(f"{label}, share of the yardstick", median(replays.shares(found)))
            break


def _neighbour_lines(replays: _Replays) -> Iterator[Line]:
    """The race in which points speak for each other, over points that it chooses, also by a screen, and over a grid."""
    count = trials_of(replays.surface, NEIGHBOURS_SHARE)
    for screened in (True, False):
        found = replays.bayes(
            screened=screened, seeds=NEIGHBOURS_SEEDS, sampler="neighbours", n_trials=count, race="neighbours"
        )
        label = f"bayes (neighbours) + neighbours, {count} trials, {'a screen' if screened else 'no screen'}"
        shares = replays.shares(found)
        yield replays.line(f"{label}, share of the yardstick", median(shares))
        enough = float(np.mean([share >= 0.9 for share in shares]))
        yield replays.line(f"{label}, seeds with a share of 0.9 or more", enough, least=0.9 if screened else None)
        yield replays.line(f"{label}, rows", replays.rows(found), most=0.03 if screened else None)
        yield replays.line(f"{label}, operations", replays.operations(found), most=0.04 if screened else None)
    visited = replays.grid(race="neighbours")
    yield from replays.share_lines("grid + neighbours", visited)
    yield replays.line("grid + neighbours, rows", replays.rows(visited))
    yield replays.line("grid + neighbours, operations", replays.operations(visited))


def _front_lines(replays: _Replays) -> Iterator[Line]:
    """Two objectives."""
    n_trials = trials_of(replays.surface)
    for sampler in ("tpe", "nsga2", "random"):
        fronts = replays.bayes(sampler=sampler, n_trials=n_trials, objectives=["accuracy", "parameters"])
        label = f"two objectives, {sampler}, hypervolume ÷ that of the exhaustive front"
        volume = median(_volume(replays.surface, each) for each in fronts)
        yield replays.line(label, volume, least=0.95 if sampler == "tpe" else None)


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
    lost = found.lost / found.replays
    yield at_most(f"{label}, studies in which one is lost that a full grid would pick", lost, "", 0.05)
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


def measure(names: Sequence[str], *, quick: bool) -> list[Line]:
    """All lines, told as they come; of some surfaces alone where they are named."""
    seeds, replays = (QUICK_SEEDS, QUICK_REPLAYS) if quick else (SEEDS, REPLAYS)
    lines: list[Line] = []
    for name in names or stored_names():
        surface = load_surface(name)
        lines += tell([*describe_surface(surface), *screen_lines(surface)])
        for part in (
            search_lines(surface, seeds, aims=surface.gain_to_have >= SOMETHING),
            false_stop_lines(name, of_surface(surface), replays),
            best_arm_lines(surface, share_of, seeds) if surface.gain_to_have >= SOMETHING else (),
            joint_lines(surface) if surface.axes.max_clips > 1 else (),
        ):
            lines += tell(list(part))
    if names:
        return lines
    lines += tell(list(false_stop_lines("made up, one of 200 better by 1.5 points", made_up(), replays)))
    lines += tell(list(published_lines(seeds)))
    return [*lines, *tell(list(overhead_lines()))]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of stored surfaces; all, and what else there is")
    parser.add_argument("--quick", action="store_true", help="fewer seeds and replays")
    arguments = parser.parse_args()
    print_document(lambda: measure(arguments.names, quick=arguments.quick))
