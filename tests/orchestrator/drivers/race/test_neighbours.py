"""The race in which points speak for each other, over a model that is made up."""

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
from clipsweep.orchestrator.drivers.race.neighbours import make_neighbours
from clipsweep.orchestrator.drivers.racing_driver import RacingDriver
from clipsweep.orchestrator.drivers.stopping import StoppingDriver
from clipsweep.orchestrator.space.candidates import Candidates, Predict
from clipsweep.orchestrator.space.proposal import Proposal
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
    **search: Any,
) -> None:
    """Run a search to its end, with so many trials at once."""
    space = space or space_of()
    section = SearchSection(**{**CHOSEN, "n_trials": n_trials} | search)
    race = make_neighbours(Candidates(space, random.Random(section.seed), predict), section, RUNGS, lambda _: 1.0)
    known = {repr(spec): made_up.answer(Proposal(spec=spec, rows=rows)) for spec, rows in made_up.seen.items()}
    driver = BayesDriver(space, section, known, identify=repr)
    driver.chooser = race.choose if race.begins else None
    begun = [Proposal(spec=spec) for spec in made_up.seen if spec.clips]
    racing = RacingDriver(StoppingDriver(driver, section), race, RUNGS, len(space.demo_seeds), begun=begun)
    while not racing.done:
        asked = racing.ask(calls)
        assert asked or racing.done
        for proposal in asked:
            racing.tell(proposal, made_up.answer(proposal))


@pytest.mark.parametrize("calls", [1, 4])
def test_neighbours_lead_to_the_best_point_with_few_rows(calls: int) -> None:
    made_up = MadeUp()
    search(made_up, calls=calls)
    assert (Clip(layer=5, module="mlp", clip_rate=0.9),) in made_up.complete
    assert made_up.evaluated < 0.12 * 81 * N_ROWS


def test_a_winner_among_bad_neighbours_is_found_once_it_has_begun() -> None:
    def lonely(clips: tuple[Clip, ...]) -> float:
        return 0.6 if clips == (Clip(layer=3, module="attn", clip_rate=0.75),) else -0.4

    made_up, space, section = MadeUp(lonely), space_of(), SearchSection(race="neighbours")
    race = make_neighbours(Candidates(space, random.Random(0)), section, RUNGS, lambda _: 1.0)
    racing = RacingDriver(FixedDriver([space.proposal(each) for each in range(len(space))]), race, RUNGS, 1)
    while not racing.done:
        for proposal in racing.ask(8):
            racing.tell(proposal, made_up.answer(proposal))
    assert (Clip(layer=3, module="attn", clip_rate=0.75),) in made_up.complete
    assert made_up.evaluated < 0.14 * 81 * N_ROWS


def test_a_search_that_was_cut_off_goes_on_from_its_rows_and_evaluates_none_twice() -> None:
    made_up = MadeUp()
    search(made_up, n_trials=14)
    seen, evaluated = {**made_up.seen}, made_up.evaluated
    search(made_up, n_trials=30)
    assert all(made_up.seen[spec] >= rows for spec, rows in seen.items())
    assert made_up.evaluated == sum(made_up.seen.values())
    assert made_up.evaluated > evaluated
    assert len({spec for spec in made_up.seen if spec.clips}) <= 30


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


def test_a_failed_trial_is_left_alone() -> None:
    made_up = MadeUp()
    space = space_of()
    section = SearchSection(**CHOSEN, n_trials=14)
    race = make_neighbours(Candidates(space, random.Random(0)), section, RUNGS, lambda _: 1.0)
    driver = BayesDriver(space, section, {})
    driver.chooser = race.choose
    racing, asked_of = RacingDriver(StoppingDriver(driver, section), race, RUNGS, 1), []
    while not racing.done:
        for proposal in racing.ask(1):
            row = made_up.answer(proposal)
            if proposal.spec.clips and proposal.spec.clips[0].module == "mlp":
                asked_of.append(proposal.spec)
                row = StoredRow.of({"trial_id": row.trial_id, "state": "failed", "n_examples": 0, "seconds": 1.0})
            racing.tell(proposal, row)
    assert len(asked_of) == len({*asked_of})
    assert all(clip.module == "attn" for clips in made_up.complete for clip in clips)
