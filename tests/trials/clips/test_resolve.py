import pytest

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.spec.modules import ATTENTION, MLP
from clipsweep.trials.spec.shape import Shape
from clipsweep.trials.spec.start import Start
from tests.trials.models.test_card import CARD, MIXTURE
from tests.trials.spec.test_clip import make_clip


def test_no_clips_leave_the_untouched_model() -> None:
    untouched = resolve((), CARD)
    assert (untouched.edits, untouched.fingerprint) == ((), ())
    assert untouched.start == Start(block=4)
    assert untouched.parameters_kept == 10_000


def test_clips_at_full_rank_leave_the_untouched_model() -> None:
    assert resolve([make_clip(module="all", clip_rate=0.01)], CARD) == resolve((), CARD)


def test_parameters_kept_counts_the_smaller_of_matrix_and_factors() -> None:
    # rank 2 of (20, 40): 2 * 60 = 120 instead of 800, two matrices; rank 18 costs 1080, so the matrix stays
    assert resolve([make_clip(clip_rate=0.9)], CARD).parameters_kept == 10_000 - 2 * (800 - 120)
    assert resolve([make_clip(clip_rate=0.1)], CARD).parameters_kept == 10_000


def test_each_shape_of_a_mixture_is_an_edit_with_its_own_rank() -> None:
    resolved = resolve([make_clip(layer=1, module="up", clip_rate=0.75)], MIXTURE)
    assert [edit.shape for edit in resolved.edits] == [Shape(8, 20, 6), Shape(16, 20, 1)]
    assert resolved.fingerprint == ((1, "up", 2, "svd"), (1, "up", 4, "svd"))


def test_parameters_kept_counts_every_expert() -> None:
    # rank 2 of (8, 20): 2 * 28 = 56 instead of 160, six times; rank 4 of (16, 20): 4 * 36 = 144 instead of 320
    clip = make_clip(layer=1, module="up", clip_rate=0.75)
    assert resolve([clip], MIXTURE).parameters_kept == 10_000 - 6 * (160 - 56) - (320 - 144)


@pytest.mark.parametrize(
    ("module", "reuse"), [("mlp", ATTENTION), ("fc_in", ATTENTION), ("attn", MLP), ("q", MLP), ("all", None)]
)
def test_a_trial_starts_at_its_block_with_the_part_that_no_clip_changes(module: str, reuse: str | None) -> None:
    assert resolve([make_clip(layer=2, module=module)], CARD).start == Start(block=2, reuse=reuse)


def test_a_trial_of_several_clips_starts_at_the_lowest_block_that_changes() -> None:
    clips = [make_clip(layer=3, module="attn"), make_clip(layer=0, module="q", clip_rate=0), make_clip(layer=1)]
    assert resolve(clips, CARD).start == Start(block=1, reuse=ATTENTION)


def test_starts_are_listed_once() -> None:
    clips = [make_clip(layer=1, module=module, clip_rate=rate) for module in ("mlp", "fc_in") for rate in (0.5, 0.9)]
    assert starts_of(clips, CARD) == (Start(block=1, reuse=ATTENTION),)


def test_a_clip_of_a_layer_without_such_matrices_is_refused() -> None:
    with pytest.raises(SpecError, match="layer 0 has no matrix of module 'up'; layers that have: 1"):
        resolve([make_clip(layer=0, module="up")], MIXTURE)


def test_a_clip_of_a_layer_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(SpecError, match="layer 7 does not exist: the model has 4 layers"):
        resolve([make_clip(layer=7)], CARD)
