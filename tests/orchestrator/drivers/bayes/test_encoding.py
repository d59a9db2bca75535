import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.orchestrator.drivers.bayes.encoding import Encoding, Parameter
from clipsweep.orchestrator.space.choices import draw, enumerate_choices, holds, join, vary
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import RateRange, Space
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS, KindOfClip
from clipsweep.trials.spec.trial import TrialSpec
from tests.orchestrator.space.spaces import space_over

MODULES = ["attn", "mlp", "q", "all"]
RANDOM = st.integers(0, 10**6).map(random.Random)


def make_space(rates: tuple[float, ...] | RateRange, **axes: Any) -> Space:
    """A space whose rates are listed or a range."""
    if isinstance(rates, RateRange):
        return space_over(clip_rates=(), rate_range=rates, **axes)
    return space_over(clip_rates=rates, **axes)


SPACES = st.builds(
    make_space,
    rates=st.sampled_from([RateRange(0.0, 0.995), RateRange(0.3, 0.5), (0.5,), (0.0, 0.5, 0.9), (0.9, 0.1, 0.75, 0.2)]),
    shots=st.sampled_from([(4,), (0, 4, 10), (10, 0, 5)]),
    layers=st.sampled_from([(0,), (0, 1, 2, 3), (0, 2, 4), (0, 1, 30, 31)]),
    modules=st.lists(st.sampled_from(MODULES), min_size=1, max_size=4, unique=True).map(tuple),
    max_clips=st.integers(1, 4),
)


def sample(parameters: tuple[Parameter, ...], rng: random.Random) -> dict[str, int | float | str]:
    def value(each: Parameter) -> int | float | str:
        if each.categories:
            return rng.choice(each.categories)
        if each.step is None:
            return rng.uniform(each.low, each.high)
        return rng.randrange(int(each.low), int(each.high) + 1, each.step)

    return {each.name: value(each) for each in parameters}


def valid(choice: Choice) -> bool:
    """TrialSpec refuses clips that share a matrix."""
    TrialSpec(model="m", task="t", shots=choice.shots, demo_seed=0, split="validation", clips=choice.clips)
    return all(clip.clip_rate for clip in choice.clips)


@given(SPACES, RANDOM)
def test_every_parameter_set_stands_for_a_choice_of_the_space(space: Space, rng: random.Random) -> None:
    encoding = Encoding(space)
    choice = encoding.decode(sample(encoding.parameters, rng))
    assert valid(choice)
    assert holds(space, choice)


@given(SPACES, RANDOM)
def test_a_choice_comes_back_from_its_parameters(space: Space, rng: random.Random) -> None:
    encoding, choice = Encoding(space), draw(space, rng)
    params = encoding.encode(choice)
    assert params is not None or not choice.clips
    assert params is None or encoding.decode(params) == choice
    assert params is None or params.keys() == {each.name for each in encoding.parameters}


@given(SPACES, RANDOM)
def test_what_is_drawn_and_its_neighbours_lie_in_the_space(space: Space, rng: random.Random) -> None:
    choice = draw(space, rng)
    for _ in range(5):
        assert valid(choice)
        assert holds(space, choice)
        choice = vary(space, choice, rng)


def test_axes_are_named_by_what_they_hold() -> None:
    encoding = Encoding(make_space((0.0, 0.5, 0.9), shots=(0, 4, 10), layers=(2, 3, 4), modules=("attn", "mlp")))
    assert [each.name for each in encoding.parameters] == ["shots_index", "layer", "module", "clip_rate_index"]
    layer, rate = encoding.parameters[1], encoding.parameters[3]
    assert (layer.low, layer.high, layer.step) == (2, 4, 1)
    assert (rate.low, rate.high) == (0, 1)  # a rate of 0 is the baseline, which runs anyway


def test_layers_that_a_rule_chose_differ_from_module_to_module() -> None:
    chosen = tuple(Site((layer,), module) for layer, module in ((0, "mlp"), (1, "attn"), (3, "attn"), (5, "mlp")))
    space = replace(make_space((0.5, 0.9), layers=range(6), modules=("attn", "mlp")), sites=chosen)
    encoding = Encoding(space)
    found = {encoding.decode(sample(encoding.parameters, random.Random(seed))).clips[0] for seed in range(99)}
    assert {((clip.layer,), clip.module) for clip in found} == {*chosen}


def test_of_clips_that_share_a_matrix_the_larger_rate_stays() -> None:
    attn, q, mlp = (
        Clip(layer=1, module=name, clip_rate=rate) for name, rate in (("attn", 0.5), ("q", 0.9), ("mlp", 0.2))
    )
    assert join([attn, q, mlp], 3) == (mlp, q)
    assert join([attn, mlp], 1) == (attn,)


@pytest.mark.parametrize(("most", "count"), [(1, 3 * 2 * 2), (2, 12 + 3 * 4 * 4), (3, 60 + 4 * 4 * 4)])
def test_every_choice_is_listed_once(most: int, count: int) -> None:
    space = make_space((0.0, 0.5, 0.9), shots=(4,), layers=(0, 1, 2), modules=("q", "attn"), max_clips=most)
    choices = list(enumerate_choices(space))
    assert len(choices) == len({*choices}) == count


def test_where_all_may_be_clipped_each_layer_and_module_has_a_rate_and_nothing_else() -> None:
    space = make_space((0.5, 0.9), shots=(4,), layers=(0, 3), modules=("mlp",), max_clips=2)
    encoding = Encoding(space)
    assert [each.name for each in encoding.parameters] == ["clip_rate_of_mlp_0_index", "clip_rate_of_mlp_3_index"]
    one = Choice(4, (Clip(layer=3, module="mlp", clip_rate=0.9),))
    assert encoding.decode(encoding.encode(one) or {}) == one


@pytest.mark.parametrize("most", [1, 2, 3])
def test_kinds_of_clip_are_an_axis_and_no_clip_loses_its_kind(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "other", KINDS["svd"])
    space = Space(
        model="m",
        task="t",
        shots=(4,),
        demo_seeds=(0,),
        sites=tuple(Site((layer,), "mlp") for layer in range(3)),
        modules=("mlp",),
        kinds=(KindOfClip("svd"), KindOfClip("other")),
        clip_rates=(0.5, 0.9),
        max_clips=most,
    )
    encoding, rng = Encoding(space), random.Random(0)
    axes = [each for each in encoding.parameters if each.categories]
    assert [each.categories for each in axes] == [("svd", "other")] * most
    drawn = [draw(space, rng) for _ in range(50)]
    assert {clip.kind for choice in drawn for clip in choice.clips} == {"svd", "other"}
    assert [encoding.decode(encoding.encode(choice) or {}) for choice in drawn] == drawn


def test_where_some_layers_are_ranges_each_is_a_category() -> None:
    sites = tuple(Site(layers, module) for layers in ((0,), (0, 1, 2), (3,)) for module in ("attn", "mlp"))
    space = space_over((), ("attn", "mlp"), sites=sites, clip_rates=(0.0, 0.5, 0.9))
    encoding, rng = Encoding(space), random.Random(0)
    assert encoding.parameters[0] == Parameter(name="layers", categories=("0", "0-2", "3"))
    drawn = [draw(space, rng) for _ in range(50)]
    assert {len(choice.clips) for choice in drawn} == {1, 3}
    assert [encoding.decode(encoding.encode(choice) or {}) for choice in drawn] == drawn


def test_kinds_with_options_are_categories_of_their_own() -> None:
    kinds = tuple(KindOfClip("random", f'{{"seed": {seed}}}') for seed in (1, 2))
    space = replace(make_space((0.5, 0.9), shots=(4,), layers=(0, 3), modules=("mlp",)), kinds=kinds)
    encoding = Encoding(space)
    (axis,) = (each for each in encoding.parameters if each.categories)
    assert axis.categories == ("random, seed 1", "random, seed 2")
    for choice in space.choices():
        if choice.clips:
            assert encoding.decode(encoding.encode(choice) or {}) == choice
