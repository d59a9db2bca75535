"""The race in which points speak for each other, over a model that is made up."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from clipsweep.analysis.row.row import Record, StoredRow, clip_record
from clipsweep.orchestrator.drivers.bayes.driver import BayesDriver
from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.race.halving import halving_rows
from clipsweep.orchestrator.drivers.race.neighbours import make_neighbours
from clipsweep.orchestrator.drivers.racing_driver import RacingDriver
from clipsweep.orchestrator.drivers.stopping import StoppingDriver
from clipsweep.orchestrator.space.candidates import MOST, Candidates, Predict
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import RateRange, Space
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.trial import TrialSpec
from tests.analysis.store.rows import columns_of

N_ROWS = 640
RUNGS = make_rungs(N_ROWS)
CHOSEN: dict[str, Any] = {"driver": "bayes", "sampler": "neighbours", "race": "neighbours"}
Gain = Callable[[tuple[Clip, ...]], float]


def space_of(shots: tuple[int, ...] = (2,), seeds: tuple[int, ...] = (0,), **axes: Any) -> Space:
    """Eight layers, two modules, five rates: 80 points."""
    sites = tuple(Site((layer,), module) for layer in range(8) for module in ("attn", "mlp"))
    rates = {"clip_rates": (0.5, 0.75, 0.9, 0.95, 0.99)} | axes
    return Space(model="m", task="t", shots=shots, demo_seeds=seeds, sites=sites, modules=("attn", "mlp"), **rates)


def hill(clips: tuple[Clip, ...]) -> float:
    """A gain with its top at ``mlp`` of layer 5 at 0.9, of which neighbours have a part."""
    [clip] = clips
    return float(
        0.9 * 0.5 ** (abs(clip.layer - 5) + 4 * abs(clip.clip_rate - 0.9) * 5 + 2 * (clip.module != "mlp")) - 0.2
    )


@dataclass
class MadeUp:
    """Rows of points that add their gain, and noise that grows with the rate, to margins of an untouched model."""

    gain: Gain = hill
    seen: dict[TrialSpec, int] = field(default_factory=dict)
    evaluated: int = 0

    def answer(self, proposal: Proposal) -> StoredRow:
        """Evaluate the rows that have not been seen."""
        rows = max(self.seen.get(proposal.spec, 0), proposal.rows or N_ROWS)
        self.evaluated += rows - self.seen.get(proposal.spec, 0)
        self.seen[proposal.spec] = rows
        margins = np.random.default_rng(proposal.spec.demo_seed).normal(0.5, 1.0, N_ROWS)
        clips = proposal.spec.clips
        if clips:
            noise = np.random.default_rng(abs(hash((clips[0].layer, clips[0].clip_rate))) % 2**32)
            margins = margins + self.gain(clips) + 0.3 * noise.standard_normal(N_ROWS)
        told: Record = {
            "trial_id": repr(proposal.spec),
            "split": "validation",
            "shots": proposal.spec.shots,
            "demo_seed": proposal.spec.demo_seed,
            "clips": [clip_record(clip) for clip in clips],
            "state": "complete" if rows == N_ROWS else "partial",
            "seconds": 1.0,
            "started_at": datetime.fromtimestamp([*self.seen].index(proposal.spec), UTC),
            "parameters_kept": 1,
        }
        return StoredRow.of(told | columns_of((margins[:rows] > 0).tolist(), margins[:rows].tolist()))

    @property
    def complete(self) -> list[tuple[Clip, ...]]:
        """Clips of what has seen all rows."""
        return [spec.clips for spec, rows in self.seen.items() if rows == N_ROWS and spec.clips]


def search(
    made_up: MadeUp,
    space: Space | None = None,
    calls: int = 1,
    n_trials: int = 30,
    predict: Predict | None = None,
    fails: Callable[[Proposal], bool] = lambda _: False,
    most: float = math.inf,
    **search: Any,
) -> RacingDriver:
    """Run a search to its end, or to so many parts, with so many trials at once, which come back in any order."""
    space = space or space_of()
    section = SearchSection(**{**CHOSEN, "n_trials": n_trials} | search)
    race = make_neighbours(Candidates(space, random.Random(section.seed), predict), section, RUNGS, lambda _: 1.0)
    known = {repr(spec): made_up.answer(Proposal(spec=spec, rows=rows)) for spec, rows in made_up.seen.items()}
    driver = BayesDriver(space, section, known, identify=repr)
    driver.chooser = race.choose if race.begins else None
    begun = [Proposal(spec=spec) for spec in made_up.seen if spec.clips]
    racing = RacingDriver(StoppingDriver(driver, section), race, RUNGS, len(space.demo_seeds), begun=begun)
    run(racing, made_up, calls, fails, most)
    return racing


def run(
    racing: RacingDriver,
    made_up: MadeUp,
    calls: int = 1,
    fails: Callable[[Proposal], bool] = lambda _: False,
    most: float = math.inf,
) -> None:
    """Answer what it asks for, one of the trials that run at a time."""
    running: list[Proposal] = []
    rng, told = random.Random(1), 0
    while not racing.done and told < most:
        running += racing.ask(calls - len(running))
        assert running or racing.done, "a driver for which nothing runs asks, or is done"
        if running:
            proposal = running.pop(rng.randrange(len(running)))
            racing.tell(proposal, failed(proposal) if fails(proposal) else made_up.answer(proposal))
            told += 1


def failed(proposal: Proposal) -> StoredRow:
    return StoredRow.of({"trial_id": repr(proposal.spec), "state": "failed", "n_examples": 0, "seconds": 1.0})


def grid(space: Space) -> RacingDriver:
    """All points of a space in a race."""
    race = make_neighbours(Candidates(space, random.Random(0)), SearchSection(race="neighbours"), RUNGS, lambda _: 1.0)
    return RacingDriver(FixedDriver([space.proposal(each) for each in range(len(space))]), race, RUNGS, 1)


@pytest.mark.parametrize("calls", [1, 4])
def test_neighbours_lead_to_the_best_point_with_few_rows(calls: int) -> None:
    made_up = MadeUp()
    search(made_up, calls=calls)
    assert (Clip(layer=5, module="mlp", clip_rate=0.9),) in made_up.complete
    assert made_up.evaluated < 0.12 * 81 * N_ROWS


def test_a_winner_among_bad_neighbours_is_found_once_it_has_begun() -> None:
    def lonely(clips: tuple[Clip, ...]) -> float:
        return 0.6 if clips == (Clip(layer=3, module="attn", clip_rate=0.75),) else -0.4

    made_up = MadeUp(lonely)
    run(grid(space_of()), made_up, calls=8)
    assert (Clip(layer=3, module="attn", clip_rate=0.75),) in made_up.complete
    assert made_up.evaluated < 0.14 * 81 * N_ROWS


def test_a_search_that_was_cut_off_goes_on_from_its_rows() -> None:
    made_up = MadeUp()
    search(made_up, most=25)
    evaluated, begun = made_up.evaluated, {*made_up.seen}
    search(made_up)
    assert evaluated < made_up.evaluated < N_ROWS + halving_rows(N_ROWS, 30) + N_ROWS
    assert begun < {*made_up.seen}
    assert len({spec for spec in made_up.seen if spec.clips}) <= 30
    assert made_up.complete


def test_a_search_that_goes_on_draws_anew_and_so_does_each_number_of_shots() -> None:
    space, section = space_of(shots=(0, 4)), SearchSection(**CHOSEN, n_trials=30)

    def first(told: int) -> list[tuple[Clip, ...]]:
        race = make_neighbours(Candidates(space, random.Random(0)), section, RUNGS, lambda _: 1.0, told)
        named = [race.choose(lambda _: True) for _ in range(8)]
        return [choice.clips for choice in named if choice]

    assert first(0) == first(0) != first(5)
    assert first(0)[::2] != first(0)[1::2]


def test_more_calls_than_first_points_do_not_end_a_search() -> None:
    made_up = MadeUp()
    search(made_up, calls=16)
    assert len([spec for spec in made_up.seen if spec.clips]) == 30
    assert made_up.complete


def test_points_that_are_known_already_are_passed_over() -> None:
    section = SearchSection(**CHOSEN, n_trials=9)
    race = make_neighbours(Candidates(space_of(), random.Random(0)), section, RUNGS, lambda _: 1.0)
    passed: list[Choice] = []

    def is_new(choice: Choice) -> bool:
        passed.append(choice)
        return len(passed) == 40

    assert race.choose(is_new) == passed[-1]
    assert race.choose(is_new) is None
    assert len({*passed}) == len(passed) == len(space_of()) - 1


def test_the_first_points_are_spread_over_layers_and_modules() -> None:
    made_up = MadeUp()
    search(made_up, n_trials=20)
    begun = [spec.clips[0] for spec in made_up.seen if spec.clips][:12]
    assert len({(clip.layer, clip.module) for clip in begun}) >= 8


def test_with_a_screen_the_first_points_are_those_of_which_most_is_predicted() -> None:
    made_up = MadeUp()
    search(made_up, n_trials=14, predict=lambda choice: hill(choice.clips))
    begun = [spec.clips for spec in made_up.seen if spec.clips][:12]
    points = [space_of().proposal(number).spec.clips for number in range(len(space_of()))]
    assert [hill(clips) for clips in begun] == sorted((hill(clips) for clips in points if clips), reverse=True)[:12]
    assert (Clip(layer=5, module="mlp", clip_rate=0.9),) in made_up.complete


def test_a_screen_that_misleads_does_not_keep_the_best_point_away() -> None:
    made_up = MadeUp()
    search(made_up, n_trials=40, predict=lambda choice: -hill(choice.clips))
    assert max(hill(clips) for clips in made_up.complete) == hill((Clip(layer=5, module="mlp", clip_rate=0.9),))


def test_each_number_of_shots_has_a_finisher_and_the_seeds_of_a_point_race_as_one() -> None:
    made_up = MadeUp()
    search(made_up, space_of(shots=(0, 4), seeds=(0, 1)), n_trials=30)
    complete = [spec for spec, rows in made_up.seen.items() if rows == N_ROWS and spec.clips]
    assert {(spec.shots, spec.demo_seed) for spec in complete} == {(shots, seed) for shots in (0, 4) for seed in (0, 1)}
    rows_of: dict[tuple[int, tuple[Clip, ...]], set[int]] = {(spec.shots, spec.clips): set() for spec in made_up.seen}
    for spec, rows in made_up.seen.items():
        rows_of[spec.shots, spec.clips].add(rows)
    assert all(len(rows) == 1 for rows in rows_of.values())


def test_a_range_of_rates_is_searched_between_its_ends() -> None:
    made_up = MadeUp()
    search(made_up, space_of(clip_rates=(), rate_range=RateRange(0.5, 0.99)))
    [best] = max(made_up.complete, key=hill)
    assert (best.layer, best.module) in {(5, "mlp"), (4, "mlp"), (6, "mlp")}
    assert best.clip_rate not in (0.5, 0.75, 0.9, 0.95, 0.99)


def test_points_of_another_sampler_all_begin_before_any_goes_on() -> None:
    made_up = MadeUp()
    search(made_up, sampler="random", n_trials=10)
    assert len([spec for spec in made_up.seen if spec.clips]) == 10
    assert made_up.complete


def test_a_range_of_rates_from_0_begins_no_point_that_clips_nothing() -> None:
    def shallow(clips: tuple[Clip, ...]) -> float:
        return 0.5 - clips[0].clip_rate

    made_up = MadeUp(shallow)
    search(made_up, space_of(clip_rates=(), rate_range=RateRange(0.0, 0.995)), n_trials=20)
    assert len([spec for spec in made_up.seen if spec.clips]) > 12
    assert made_up.complete


@pytest.mark.parametrize("rows", [20, 160])
def test_a_failed_trial_is_left_alone_and_another_comes_through(rows: int) -> None:
    made_up, asked_of = MadeUp(), []

    def fails(proposal: Proposal) -> bool:
        lost = hill(proposal.spec.clips) > 0.2 if proposal.spec.clips else False
        if lost and proposal.rows == rows:
            asked_of.append(proposal.spec)
        return lost and proposal.rows == rows

    search(made_up, fails=fails)
    assert asked_of
    assert len(asked_of) == len({*asked_of})
    assert made_up.complete
    assert all(hill(clips) <= 0.2 for clips in made_up.complete)


def test_where_all_points_fail_the_search_comes_to_its_end() -> None:
    made_up = MadeUp()
    racing = search(made_up, space_of(shots=(0, 4)), fails=lambda proposal: bool(proposal.spec.clips))
    assert not made_up.complete
    assert racing.reason == "search.n_trials: 30"


def test_points_of_one_number_of_shots_may_fail_while_the_others_go_on() -> None:
    made_up = MadeUp()
    search(made_up, space_of(shots=(0, 4)), n_trials=40, fails=lambda proposal: bool(proposal.spec.shots))
    assert made_up.complete


@pytest.mark.parametrize("whole", [True, False])
def test_without_the_untouched_model_on_all_rows_points_are_compared_on_those_it_saw(whole: bool) -> None:
    made_up = MadeUp()

    def fails(proposal: Proposal) -> bool:
        return not proposal.spec.clips and (proposal.rows or N_ROWS) >= 80

    if whole:
        run(grid(space_of()), made_up, calls=4, fails=fails)
    else:
        search(made_up, calls=4, fails=fails)
    assert max(hill(clips) for clips in made_up.complete) > 0.2


def test_of_a_grid_larger_than_is_looked_at_the_most_promising_go_on() -> None:
    made_up = MadeUp()
    run(grid(space_of(clip_rates=tuple(number / 100 for number in range(42, 91, 3)))), made_up, calls=8)
    assert len([spec for spec in made_up.seen if spec.clips]) == 272 > MOST
    assert max(hill(clips) for clips in made_up.complete) > 0.6


def test_a_search_says_that_hardly_more_was_expected() -> None:
    racing = search(
        MadeUp(), space_of(clip_rates=(0.5, 0.9)), n_trials=31, predict=lambda choice: hill(choice.clips) / 5
    )
    assert racing.reason == "search.race: neighbours, as hardly more is expected"
