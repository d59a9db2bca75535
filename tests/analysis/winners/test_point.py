from itertools import chain

import pytest

from clipsweep.analysis.winners.point import (
    Point,
    common_rate,
    describe_clips,
    describe_point,
    describe_shots,
    join_kinds,
    label_rates,
)
from clipsweep.trials.spec.clip import Clip
from tests.trials.spec.test_clip import make_clip


@pytest.mark.parametrize(("shots", "words"), [(0, "0 shots"), (1, "1 shot"), (2, "2 shots")])
def test_one_shot_is_no_plural(shots: int, words: str) -> None:
    assert describe_shots(shots) == words


def clips_of(layers: range, module: str = "mlp", rate: float = 0.95) -> tuple[Clip, ...]:
    return tuple(Clip(layer=layer, module=module, clip_rate=rate) for layer in layers)


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        (clips_of(range(20, 28)), "mlp of layers 20 to 27 at clip rate 0.95"),
        (clips_of(range(4, 5)), "mlp of layer 4 at clip rate 0.95"),
        (
            (*clips_of(range(3)), *clips_of(range(4, 6))),
            "mlp of layers 0 to 2 at clip rate 0.95 and mlp of layers 4 to 5 at clip rate 0.95",
        ),
        (
            (*clips_of(range(1)), *clips_of(range(1, 2), rate=0.5)),
            "mlp of layer 0 at clip rate 0.95 and mlp of layer 1 at clip rate 0.5",
        ),
        (
            tuple(chain(*zip(clips_of(range(2), "attn"), clips_of(range(2)), strict=True))),
            "attn of layers 0 to 1 at clip rate 0.95 and mlp of layers 0 to 1 at clip rate 0.95",
        ),
    ],
)
def test_layers_that_follow_each_other_and_are_clipped_alike_are_named_together(
    clips: tuple[Clip, ...], words: str
) -> None:
    assert describe_clips(clips) == words


def test_a_point_has_a_place_where_its_clips_are_one_range() -> None:
    apart = (*clips_of(range(2)), *clips_of(range(3, 4)))
    points = [Point(clips=clips, shots=4, trial_ids=(), baseline_ids=()) for clips in (clips_of(range(2)), apart, ())]
    assert [point.place for point in points] == ["layers 0-1", None, None]


def test_a_kind_that_is_not_the_usual_one_is_named_with_its_options() -> None:
    clips = make_clip(kind="random"), make_clip(layer=1)
    said = "mlp of layer 0 at clip rate 0.5 (random, seed 0) and mlp of layer 1 at clip rate 0.5"
    assert describe_clips(clips) == said


@pytest.mark.parametrize(
    ("kind", "words"),
    [("random", "the untouched model, 4 shots"), ("zero", "mlp of layer 0 (zero), 4 shots")],
)
def test_a_rate_of_0_is_the_untouched_model_but_for_kinds_that_act_all_the_same(kind: str, words: str) -> None:
    point = Point(clips=(make_clip(clip_rate=0.0, kind=kind),), shots=4, trial_ids=("t",), baseline_ids=("b",))
    assert describe_point(point) == words


@pytest.mark.parametrize(
    ("clips", "kinds", "rate", "label"),
    [
        ((), None, None, None),
        (clips_of(range(3)), "svd", 0.95, "0.95"),
        ((make_clip(), make_clip(layer=1, clip_rate=0.9)), "svd", None, "0.5, 0.9"),
        ((make_clip(kind="zero"),), "zero", None, None),  # whatever the rate
        ((make_clip(kind="zero"), make_clip(layer=1, kind="random")), "zero+random, seed 0", None, "none, 0.5"),
    ],
)
def test_a_clip_rate_is_told_where_it_has_a_meaning(
    clips: tuple[Clip, ...], kinds: str | None, rate: float | None, label: str | None
) -> None:
    assert (join_kinds(clips), common_rate(clips), label_rates(clips)) == (kinds, rate, label)
