import random

import pytest

from clipsweep.orchestrator.space.choices import draw, enumerate_choices, holds, vary
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS, KindEntry, KindOfClip
from tests.orchestrator.space.spaces import space_over

RANGES = space_over((), ("mlp",), sites=(Site((0,), "mlp"), Site((0, 1, 2), "mlp")), clip_rates=(0.0, 0.5, 0.9))


def test_a_neighbour_is_of_the_same_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "other", KindEntry("somewhere:Other"))
    space = Space(
        model="m",
        task="t",
        shots=(0,),
        demo_seeds=(0,),
        sites=(Site((0,), "mlp"), Site((1,), "mlp")),
        kinds=(KindOfClip("svd"), KindOfClip("other")),
        clip_rates=(0.5, 0.9),
        modules=("mlp",),
    )
    choice = Choice(0, (Clip(layer=0, module="mlp", clip_rate=0.5, kind="other"),))
    neighbours = [vary(space, choice, random.Random(seed)) for seed in range(20)]
    assert {clip.kind for each in neighbours for clip in each.clips} == {"other"}


def test_a_range_is_drawn_varied_and_listed_as_one() -> None:
    listed = {*enumerate_choices(RANGES)}
    assert sorted(len(each.clips) for each in listed) == [1, 1, 3, 3]
    draws = [draw(RANGES, random.Random(seed)) for seed in range(30)]
    varied = [vary(RANGES, choice, random.Random(0)) for choice in draws]
    assert {*draws} == listed
    assert {*varied} <= listed
    assert {len(each.clips) for each in varied} == {1, 3}


def test_a_space_holds_its_ranges_whole_and_clipped_alike() -> None:
    whole = Site((0, 1, 2), "mlp").clips(0.5, KindOfClip("svd"))
    mixed = (*whole[:2], Clip(layer=2, module="mlp", clip_rate=0.9))
    assert holds(RANGES, Choice(4, whole))
    assert not holds(RANGES, Choice(4, whole[:2]))
    assert not holds(RANGES, Choice(4, mixed))
