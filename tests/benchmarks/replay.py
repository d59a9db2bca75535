"""Drivers replayed on surfaces: they ask and are told as in a run, and every answer is looked up."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.packing import pack_outcomes
from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.analysis.screens.screens import Screens
from clipsweep.analysis.winners.gain import Gain, measure_gain
from clipsweep.orchestrator.drivers.bayes.driver import BayesDriver
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.race.make_race import make_race
from clipsweep.orchestrator.drivers.race.neighbourhood import Cost
from clipsweep.orchestrator.drivers.race.neighbours import make_neighbours
from clipsweep.orchestrator.drivers.racing_driver import RacingDriver
from clipsweep.orchestrator.drivers.stopping import StoppingDriver
from clipsweep.orchestrator.space.candidates import Candidates, Predict
from clipsweep.orchestrator.space.layer_rule import ConditionRule, module_places
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.study.names import NEIGHBOURS
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.base.files import default_cache
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.measure_spectrum import measure_spectrum
from clipsweep.trials.clips.spectrum import conditions_of
from clipsweep.trials.models.find import EMBEDDED, find_checkpoint
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.models.load import load_model
from clipsweep.trials.models.settings import ModelSettings
from clipsweep.trials.spec.kinds import DEFAULT_KIND, KindOfClip
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import PromptSet, TrialSpec
from tests.benchmarks.screened import StoredScreens, prompt_set_of
from tests.benchmarks.surfaces import SHARED, Clips, PublishedSurface, Surface

TOP_K = 5


@dataclass(slots=True, kw_only=True)
class Replay:
    """What a search cost and found.

    Attributes:
        seen: Validation rows that each point was evaluated on, by its number.
        order: Points in the order they were first evaluated.
        complete: Points that were evaluated on all rows.
        winner: The first of the best of those on validation.
        screen_operations: Of the screen before the search; 0 for none.
    """

    seen: dict[int, int] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)
    complete: list[int] = field(default_factory=list)
    winner: int = 0
    screen_operations: int = 0

    def rows_share(self, surface: Surface) -> float:
        """Rows evaluated as a share of those of the whole grid."""
        return sum(self.seen.values()) / surface.validation.size

    def operations_share(self, surface: Surface) -> float:
        """The same of operations, by the cost model, with those of the screen."""
        spent = sum(rows * surface.operations[point] for point, rows in self.seen.items()) + self.screen_operations
        return float(spent / (surface.operations.sum() * surface.validation.shape[1]))


class Grid(FixedDriver):
    """Every point of a surface, the baseline first, in the order of the grid driver."""

    def __init__(self, surface: Surface) -> None:
        super().__init__(propose(surface, surface.points[number]) for number in visiting_order(surface))


def visiting_order(surface: Surface) -> list[int]:
    """Numbers of the points as a grid visits them; of a joint surface, which none enumerates, as they are."""
    space = space_of(surface)
    if space.max_clips > 1:
        return list(range(len(surface.points)))
    return [0, *(surface.index_of(space.visited_clips(number)) for number in range(space.n_clips))]


def propose(surface: Surface | PublishedSurface, clips: Clips) -> Proposal:
    """The proposal of a point."""
    spec = TrialSpec(model="m", task="t", shots=surface.axes.shots, demo_seed=0, split="validation", clips=clips)
    return Proposal(spec=spec)


def space_of(surface: Surface | PublishedSurface) -> Space:
    """The space that a study of the surface would have."""
    axes = surface.axes
    return Space(
        model="m",
        task="t",
        shots=(axes.shots,),
        demo_seeds=(0,),
        sites=tuple(Site((layer,), module) for layer, module in product(axes.layers, axes.modules)),
        modules=axes.modules,
        clip_rates=tuple(rate for rate in axes.clip_rates if rate),
        max_clips=axes.max_clips,
    )


class Answers:
    """Stored rows of a surface's points; the validation rows are in an order of the replay's own."""

    def __init__(self, surface: Surface, seed: int, *, plain: bool = False, last: NDArray[np.int64] | None = None):
        """Shuffle the rows, the same way for all points.

        Args:
            surface: Whose rows.
            seed: Of the order.
            plain: Whether rows have no margins.
            last: Rows that come at the end, in this order.
        """
        self._surface = surface
        self._plain = plain
        order = np.random.default_rng(seed).permutation(surface.validation.shape[1])
        if last is not None:
            order = np.concatenate([order[~np.isin(order, last)], last])
        self._outcomes: NDArray[np.bool_] = surface.validation[:, order]
        self._margins: NDArray[np.float16] = surface.margins[:, order]

    def row(self, point: int, n_rows: int | None) -> StoredRow:
        """The row of a point that has seen so many rows; None for all."""
        outcomes = self._outcomes[point, :n_rows]
        whole = len(outcomes) == self._outcomes.shape[1]
        told: Record = {
            "trial_id": str(point),
            "state": (TrialState.COMPLETE if whole else TrialState.PARTIAL).value,
            "n_examples": len(outcomes),
            "outcomes": pack_outcomes(outcomes.tolist()),
            "margins": None if self._plain else self._margins[point, :n_rows].tobytes(),
            "accuracy": float(outcomes.mean()),
            "parameters_kept": int(self._surface.parameters_kept[point]),
            "seconds": 0.0,
        }
        return StoredRow.of(told)


MakeDriver = Callable[[SearchSection], Driver]


def replay(
    surface: Surface,
    make_driver: MakeDriver,
    order: int = 0,
    *,
    plain: bool = False,
    screens: StoredScreens | None = None,
    predict: Predict | None = None,
    **search: Any,
) -> Replay:
    """Run a search on a surface, one trial at a time, with the study's own stopping rules and races.

    Args:
        surface: What is searched.
        make_driver: The search.
        order: Seed of the rows' order.
        plain: Whether rows have no margins.
        screens: One of them, of rows that come last, is what the search knows beforehand; None for nothing.
        predict: What it knows beforehand where that is no screen.
        search: The study's search section.
    """
    section = SearchSection(**search)
    number = order % len(screens) if screens else 0
    predict = predict if screens is None else predict_by(screens[number], prompt_set_of(surface))
    last = None if screens is None else screens.rows_of(number)
    answers = Answers(surface, order, plain=plain, last=last)
    told = Replay(screen_operations=0 if screens is None else screens.operations)
    inner = make_driver(section)
    stopping = StoppingDriver(inner, section)
    n_rows = surface.validation.shape[1]
    rungs = make_rungs(n_rows)
    race = make_race(section, waits=not stopping.adaptive, rungs=rungs)
    candidates = Candidates(space_of(surface), random.Random(section.seed), predict)
    inner.openers = candidates.openers()
    if section.race == NEIGHBOURS:
        race = neighbours = make_neighbours(candidates, section, rungs, _cost_on(surface))
        inner.chooser = neighbours.choose if neighbours.begins else None
    driver = stopping if race is None else RacingDriver(stopping, race, rungs, n_seeds=1)
    while not driver.done:
        for proposal in driver.ask(1):
            point = surface.index_of(proposal.spec.clips)
            told.order += [] if point in told.seen else [point]
            seen = max(told.seen.get(point, 0), proposal.rows or n_rows)
            if seen == n_rows and told.seen.get(point) != n_rows:
                told.complete.append(point)
            told.seen[point] = seen
            driver.tell(proposal, answers.row(point, seen))
    told.winner = pick(surface.validation_scores, told.complete)
    return told


def predict_by(screens: Screens, prompt_set: PromptSet) -> Predict:
    """What a screen expects of a choice."""

    def predict(choice: Choice) -> float | None:
        found = screens.predict(prompt_set, choice.clips)
        return None if found is None else found.gain

    return predict


def _cost_on(surface: Surface) -> Cost:
    """Operations of a row of a choice."""
    return lambda choice: float(surface.operations[surface.index_of(choice.clips)])


def pick(scores: Mapping[int, float] | NDArray[np.float64], points: Iterable[int]) -> int:
    """The first of the best points."""
    return max(sorted(points), key=lambda point: scores[point])


def bayes(space: Space) -> MakeDriver:
    """The Bayesian driver over a space, its storage in memory."""
    return lambda search: BayesDriver(space, search, {})


def replay_scores(surface: PublishedSurface, search: SearchSection) -> int:
    """Run a search where only scores are known; the point that it finds."""
    driver = StoppingDriver(BayesDriver(space_of(surface), search, {}), search)
    numbers = {clips: number for number, clips in enumerate(surface.points)}
    told: list[int] = []
    while not driver.done:
        for proposal in driver.ask(1):
            point = numbers[proposal.spec.clips]
            told.append(point)
            row: Record = {
                "trial_id": str(point),
                "state": TrialState.COMPLETE.value,
                "accuracy": surface.scores[point],
            }
            driver.tell(proposal, StoredRow.of(row | {"parameters_kept": 1, "n_examples": 1, "seconds": 0.0}))
    return pick(surface.scores, told)


def algorithm1_points(surface: Surface) -> list[int]:
    """Points that Algorithm 1 evaluates: of each module every rate at the layer that the condition numbers choose."""
    path = surface.model if surface.model == EMBEDDED else str(SHARED / "models" / surface.model)
    folder = find_checkpoint(ModelSettings(path=path, dtype="float32"), default_cache())
    model = load_model(folder, "float32", "cpu")
    candidates = {
        module: {
            layer: places
            for layer, places in module_places(surface.card, module).items()
            if layer in surface.axes.layers
        }
        for module in surface.axes.modules
    }
    counts = dict.fromkeys(candidates, min(TOP_K, len(surface.axes.layers)))
    rule = ConditionRule(candidates=candidates, counts=counts, deepest=True, combination="max")
    conditions = conditions_of(measure_spectrum(model, find_layout(model), rule.places(), FactorCache(default_cache())))
    rates = [rate for rate in surface.axes.clip_rates if rate]
    sites = rule.choose(conditions)
    assert sites is not None, "all have been measured"
    clips = [site.clips(rate, KindOfClip(DEFAULT_KIND)) for site in sites for rate in rates]
    return [0, *map(surface.index_of, clips)]


def measure_paired(surface: Surface, point: int, other: int) -> Gain:
    """Gain of one point over another on held-out rows, with its interval, as the report tells it."""
    return measure_gain(*([_held_out_row(surface, each)] for each in (point, other)))


def _held_out_row(surface: Surface, point: int) -> StoredRow:
    outcomes = surface.held_out[point]
    return StoredRow.of({"split": "test", "n_examples": len(outcomes), "outcomes": pack_outcomes(outcomes.tolist())})
