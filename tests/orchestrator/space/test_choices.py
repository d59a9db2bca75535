import random

import pytest

from clipsweep.orchestrator.space.choices import vary
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KINDS, KindEntry, KindOfClip


def test_a_neighbour_is_of_the_same_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "other", KindEntry("somewhere:Other"))
    space = Space(
        model="m",
        task="t",
        shots=(0,),
        demo_seeds=(0,),
        sites=((0, "mlp"), (1, "mlp")),
        kinds=(KindOfClip("svd"), KindOfClip("other")),
        clip_rates=(0.5, 0.9),
        modules=("mlp",),
    )
    choice = Choice(0, (Clip(layer=0, module="mlp", clip_rate=0.5, kind="other"),))
    neighbours = [vary(space, choice, random.Random(seed)) for seed in range(20)]
    assert {clip.kind for each in neighbours for clip in each.clips} == {"other"}
