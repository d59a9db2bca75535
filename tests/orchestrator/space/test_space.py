from itertools import groupby
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clipsweep.orchestrator.drivers.grid import GridDriver
from clipsweep.orchestrator.space.points import make_points
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space, coarse_to_fine
from clipsweep.trials.clips.identity import trial_id
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.cost import CostModel, Extent
from clipsweep.trials.spec.clip import Clip
from tests.orchestrator.space.spaces import make_subject, space_over
from tests.trials.models.test_card import CARD

AXES = st.builds(
    space_over,
    shots=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True).map(tuple),
    demo_seeds=st.lists(st.integers(0, 5), min_size=1, max_size=2, unique=True).map(tuple),
    layers=st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True).map(tuple),
    modules=st.lists(st.sampled_from(["attn", "mlp", "q"]), min_size=1, max_size=3, unique=True).map(tuple),
    clip_rates=st.lists(st.sampled_from([0.0, 0.5, 0.9]), min_size=1, max_size=3, unique=True).map(tuple),
)

RANGES = st.lists(st.sampled_from([(0,), (2,), (0, 1), (2, 3), (0, 1, 2, 3)]), min_size=1, max_size=4, unique=True)
SPACES = AXES | st.builds(
    lambda ranges, rates: space_over((), ("mlp",), sites=tuple(Site(each, "mlp") for each in ranges), clip_rates=rates),
    RANGES,
    st.just((0.0, 0.5, 0.9)),
)


@given(SPACES)
def test_every_point_has_one_index(space: Space) -> None:
    specs = [space.proposal(index).spec for index in range(len(space))]
    assert len(set(specs)) == len(specs)
    assert sum(not spec.clips for spec in specs) == len(space.shots) * len(space.demo_seeds)


@given(SPACES, st.integers(1, 7))
def test_the_grid_driver_asks_for_every_point_once(space: Space, count: int) -> None:
    driver, asked = GridDriver(space), 0
    while not driver.done:
        asked += len(driver.ask(count))
    assert asked == len(space)
    assert driver.ask(count) == []


@given(SPACES)
def test_every_point_of_the_figures_is_answered_by_a_trial_of_the_grid(space: Space) -> None:
    run = {trial_id(space.proposal(index).spec, CARD, "t") for index in range(len(space))}
    points = make_points(space, space.choices(), make_subject())
    assert {trial for point in points for trial in (*point.trial_ids, *point.baseline_ids)} == run
    tests = {trial for point in points for trial in point.test_ids}
    assert tests
    assert not tests & run


def clips_in_order(**axes: Any) -> list[Clip]:
    space = space_over(shots=(0,), **axes)
    return [space.proposal(index).spec.clips[0] for index in range(1, len(space))]


@given(AXES)
def test_trials_that_share_prompts_follow_each_other_after_their_baseline(space: Space) -> None:
    specs = [space.proposal(index).spec for index in range(len(space))]
    together = [list(each) for _, each in groupby(specs, key=lambda spec: spec.prompt_set)]
    assert len(together) == len(space.shots) * len(space.demo_seeds)
    assert all(not each[0].clips and all(spec.clips for spec in each[1:]) for each in together)


def test_the_seeds_of_one_number_of_shots_come_before_the_next_number() -> None:
    space = space_over((0,), ("mlp",), shots=(4, 0), demo_seeds=(0, 1))
    specs = [space.proposal(index).spec for index in range(len(space))]
    assert [(spec.shots, spec.demo_seed) for spec in specs[::2]] == [(4, 0), (4, 1), (0, 0), (0, 1)]


def test_the_grid_goes_from_the_cheapest_site_to_the_dearest() -> None:
    clips = clips_in_order(layers=(0, 3), modules=("all", "attn", "fc_in", "mlp"), clip_rates=(0.5,))
    sites = [(clip.layer, clip.module) for clip in clips]
    one_layer = ["fc_in", "mlp", "attn", "all"]
    assert sites == [(layer, module) for layer in (3, 0) for module in one_layer]


def test_no_site_costs_more_than_the_next_one_visited() -> None:
    cost, extents = CostModel(CARD), [Extent(sequences=1, tokens=30, before=20, answers=1, logits=2)]
    clips = clips_in_order(layers=(0, 1, 2, 3), modules=("all", "q", "attn", "mlp", "fc_out"), clip_rates=(0.5,))
    costs = [cost.trial(extents, resolve([clip], CARD).start) for clip in clips]
    assert costs == sorted(costs)


def test_the_first_rates_of_a_site_are_spread_over_all() -> None:
    published = (0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
    clips = clips_in_order(layers=(0, 1), modules=("mlp",), clip_rates=published)
    assert [clip.clip_rate for clip in clips[:8]] == [0.995, 0, 0.9, 0.99, 0.5, 0.95, 0.75, 0.1]
    assert {clip.layer for clip in clips[:8]} == {1}


@given(st.lists(st.integers(), unique=True))
def test_coarse_to_fine_keeps_every_value(values: list[int]) -> None:
    assert sorted(coarse_to_fine(values)) == sorted(values)


def test_a_range_is_visited_after_what_starts_where_it_starts() -> None:
    sites = tuple(Site(layers, "mlp") for layers in ((0,), (0, 1, 2, 3), (1,), (1, 2), (3,)))
    space = space_over((), ("mlp",), sites=sites)
    visited = [[clip.layer for clip in space.visited_clips(number)] for number in range(space.n_clips)]
    assert visited == [[3], [1], [1, 2], [0], [0, 1, 2, 3]]
    assert [clip.layer for clip in space.starts()] == [0, 0, 1, 1, 3]
