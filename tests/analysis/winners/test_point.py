import pytest

from clipsweep.analysis.winners.point import Point, describe_clips, describe_point, describe_shots
from tests.trials.spec.test_clip import make_clip


@pytest.mark.parametrize(("shots", "words"), [(0, "0 shots"), (1, "1 shot"), (2, "2 shots")])
def test_one_shot_is_no_plural(shots: int, words: str) -> None:
    assert describe_shots(shots) == words


def test_a_kind_that_is_not_the_usual_one_is_named_with_its_options() -> None:
    clips = make_clip(kind="random"), make_clip(layer=1)
    said = "mlp of layer 0 at clip rate 0.5 (random, seed 0) and mlp of layer 1 at clip rate 0.5"
    assert describe_clips(clips) == said


@pytest.mark.parametrize(
    ("kind", "words"),
    [("random", "the untouched model, 4 shots"), ("zero", "mlp of layer 0 at clip rate 0 (zero), 4 shots")],
)
def test_a_rate_of_0_is_the_untouched_model_but_for_kinds_that_act_all_the_same(kind: str, words: str) -> None:
    point = Point(clips=(make_clip(clip_rate=0.0, kind=kind),), shots=4, trial_ids=("t",), baseline_ids=("b",))
    assert describe_point(point) == words
