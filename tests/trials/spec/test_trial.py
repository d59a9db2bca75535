import pytest

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TrialSpec
from tests.trials.spec.test_clip import make_clip


def make_spec(shots: int = 0, split: str = "validation", clips: tuple[Clip, ...] = ()) -> TrialSpec:
    return TrialSpec(model="m", task="sst2", shots=shots, demo_seed=0, split=split, clips=clips)


def test_negative_shots_are_refused() -> None:
    with pytest.raises(SpecError, match="shots is -1"):
        make_spec(shots=-1)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(SpecError, match="no split 'valid'.*Did you mean 'validation'"):
        make_spec(split="valid")


def test_two_clips_that_share_a_matrix_are_refused() -> None:
    with pytest.raises(SpecError, match="layer 0 attn is clipped twice"):
        make_spec(clips=(make_clip(module="q"), make_clip(module="attn")))


def test_clips_of_different_layers_may_share_a_module() -> None:
    assert len(make_spec(clips=(make_clip(layer=0), make_clip(layer=1))).clips) == 2
