from dataclasses import replace

import pytest

from tests.trials.test_values import make_clip, make_spec
from trials.errors import SpecError
from trials.model_card import ModelCard, trial_id

CARD = ModelCard(
    fingerprint="f" * 32,
    model_type="gptj",
    dtype="float32",
    n_layers=4,
    hidden_size=20,
    vocabulary_size=100,
    context_length=64,
    parameters_total=10_000,
    weight_bytes=40_000,
    shapes={(layer, role): (20, 40) for layer in range(4) for role in ("q", "k", "v", "o", "fc_in", "fc_out")},
)


def test_points_that_leave_the_same_ranks_are_one_trial() -> None:
    same = [make_spec(clips=(make_clip(clip_rate=rate),)) for rate in (0.9, 0.91)]
    assert len({trial_id(spec, CARD, "t") for spec in same}) == 1


def test_clips_at_full_rank_are_the_baseline() -> None:
    full = make_spec(clips=(make_clip(layer=3, module="attn", clip_rate=0.01),))
    assert trial_id(full, CARD, "t") == trial_id(make_spec(), CARD, "t")


def test_the_order_of_clips_does_not_count() -> None:
    clips = (make_clip(layer=0), make_clip(layer=1, module="q"))
    assert trial_id(make_spec(clips=clips), CARD, "t") == trial_id(make_spec(clips=clips[::-1]), CARD, "t")


def test_the_demonstration_seed_counts_only_with_demonstrations() -> None:
    specs = [replace(make_spec(shots=shots), demo_seed=seed) for shots in (0, 4) for seed in (0, 1)]
    assert len({trial_id(spec, CARD, "t") for spec in specs}) == 3


def test_each_thing_that_determines_the_result_changes_the_identity() -> None:
    clip = make_clip()
    base = make_spec(shots=4, clips=(clip,))
    others = [
        trial_id(base, CARD, "other rows"),
        trial_id(base, replace(CARD, fingerprint="0"), "t"),
        trial_id(base, replace(CARD, dtype="float16"), "t"),
        trial_id(replace(base, shots=10), CARD, "t"),
        trial_id(replace(base, split="test"), CARD, "t"),
        trial_id(replace(base, clips=(replace(clip, layer=1),)), CARD, "t"),
        trial_id(replace(base, clips=(replace(clip, module="attn"),)), CARD, "t"),
        trial_id(replace(base, clips=(replace(clip, clip_rate=0.75),)), CARD, "t"),
    ]
    assert len({trial_id(base, CARD, "t"), *others}) == len(others) + 1


def test_the_names_of_model_and_task_do_not_count() -> None:
    assert trial_id(replace(make_spec(), model="elsewhere", task="alias"), CARD, "t") == trial_id(
        make_spec(), CARD, "t"
    )


def test_negative_layers_count_from_the_end() -> None:
    assert [CARD.layer_index(layer) for layer in (0, 3, -1, -4)] == [0, 3, 3, 0]


@pytest.mark.parametrize("layer", [4, -5])
def test_a_layer_that_the_model_lacks_is_refused(layer: int) -> None:
    with pytest.raises(SpecError, match=f"layer {layer} does not exist: the model has 4 layers; expected -4 to 3"):
        CARD.layer_index(layer)


def test_a_module_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(SpecError, match="module 'gate' has no matrix in a gptj model; it has fc_in"):
        CARD.roles("gate")


def test_parameters_kept_counts_the_smaller_of_matrix_and_factors() -> None:
    # rank 2 of (20, 40): 2 * 60 = 120 instead of 800, two matrices; rank 18 costs 1080, so the matrix stays
    assert CARD.parameters_kept([make_clip(clip_rate=0.9)]) == 10_000 - 2 * (800 - 120)
    assert CARD.parameters_kept([make_clip(clip_rate=0.1)]) == 10_000
