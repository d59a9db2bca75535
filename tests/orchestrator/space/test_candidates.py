"""Points that a search may begin, with what is predicted of them."""

import random
from dataclasses import replace

from clipsweep.orchestrator.space.candidates import MOST, OPENERS, Candidates
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import RateRange, Space
from clipsweep.trials.spec.clip import Clip


def space_of(rates: tuple[float, ...], shots: tuple[int, ...] = (2,)) -> Space:
    """Eight layers and two modules."""
    sites = tuple(Site((layer,), module) for layer in range(8) for module in ("attn", "mlp"))
    return Space(
        model="m", task="t", shots=shots, demo_seeds=(0,), sites=sites, modules=("attn", "mlp"), clip_rates=rates
    )


def hill(choice: Choice) -> float:
    """A gain with its top at ``mlp`` of layer 5 at 0.9."""
    [clip] = choice.clips
    return -abs(clip.layer - 5) - 10 * abs(clip.clip_rate - 0.9) - 2 * (clip.module != "mlp")


FINE = tuple(number / 100 for number in range(1, 100))


def test_of_a_large_space_a_sample_is_looked_at() -> None:
    candidates = Candidates(space_of(FINE), random.Random(0))
    best = Choice(2, (Clip(layer=5, module="mlp", clip_rate=0.9),))
    found = candidates.near(2, [best])
    assert not candidates.all_listed
    assert MOST // 2 < len(found) <= MOST
    assert sum(choice.clips[0].module == "mlp" and choice.clips[0].clip_rate == 0.9 for choice in found) > 5


def test_of_a_large_space_what_is_predicted_to_gain_most_is_looked_at_too() -> None:
    candidates = Candidates(space_of(FINE), random.Random(0), hill)
    assert max(map(hill, candidates.near(2, []))) > -0.5


def test_a_screen_opens_a_search_with_the_points_that_it_predicts_most_of() -> None:
    space = space_of((0.5, 0.9), shots=(0, 2))
    openers = Candidates(space, random.Random(0), hill).openers()
    assert [choice.shots for choice in openers] == [0] * OPENERS + [2] * OPENERS
    assert openers[0].clips == (Clip(layer=5, module="mlp", clip_rate=0.9),)
    assert [hill(choice) for choice in openers[:OPENERS]] == sorted(map(hill, openers[:OPENERS]), reverse=True)


def test_points_that_clip_nothing_are_no_candidates() -> None:
    space = replace(space_of(()), rate_range=RateRange(0.0, 0.5))
    shallow = [Choice(2, (Clip(layer=5, module="mlp", clip_rate=0.001),))]
    candidates = Candidates(space, random.Random(0), lambda choice: -sum(clip.clip_rate for clip in choice.clips))
    assert all(choice.clips for choice in [*candidates.near(2, shallow), *candidates.openers()])


def test_without_a_screen_nothing_opens_a_search() -> None:
    assert Candidates(space_of((0.5, 0.9)), random.Random(0)).openers() == []
