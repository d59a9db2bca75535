import json
from dataclasses import replace

import pytest

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.models.card import ModelCard, trial_id
from clipsweep.trials.spec.shape import Shape, rows_of_shapes, shapes_of_rows
from tests.trials.spec.test_clip import make_clip
from tests.trials.spec.test_trial import make_spec

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
    shapes={
        (layer, role): (Shape(20, 40, 1),) for layer in range(4) for role in ("q", "k", "v", "o", "fc_in", "fc_out")
    },
)
MIXTURE = replace(
    CARD,
    experts_per_token=2,
    shapes={
        (0, "q"): (Shape(20, 20, 1),),
        (1, "q"): (Shape(20, 20, 1),),
        (1, "up"): (Shape(8, 20, 6), Shape(16, 20, 1)),
    },
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


def test_identities_are_those_of_earlier_versions() -> None:
    clips = (make_clip(layer=2, module="all"), make_clip(layer=0, module="q"))
    assert trial_id(make_spec(), CARD, "t") == "5bfa2e0081fa523ac99d2e4b19d4f2ab"  # both as 0.1.0 gave them
    assert trial_id(make_spec(shots=4, clips=clips), CARD, "t") == "e9609fca688a6a16ee6c647ff0ec6783"


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


def test_ranks_are_kept_for_each_shape() -> None:
    assert MIXTURE.kept_ranks([make_clip(layer=1, module="up", clip_rate=0.75)]) == {
        (1, "up", Shape(8, 20, 6)): 2,
        (1, "up", Shape(16, 20, 1)): 4,
    }


def test_parameters_kept_counts_every_expert() -> None:
    # rank 2 of (8, 20): 2 * 28 = 56 instead of 160, six times; rank 4 of (16, 20): 4 * 36 = 144 instead of 320
    clip = make_clip(layer=1, module="up", clip_rate=0.75)
    assert MIXTURE.parameters_kept([clip]) == 10_000 - 6 * (160 - 56) - (320 - 144)


def test_a_clip_of_a_layer_without_such_matrices_is_refused() -> None:
    with pytest.raises(SpecError, match="layer 0 has no matrix of module 'up'; layers that have: 1"):
        MIXTURE.kept_ranks([make_clip(layer=0, module="up")])


def test_shapes_are_the_same_after_json() -> None:
    assert shapes_of_rows(json.loads(json.dumps(rows_of_shapes(MIXTURE.shapes)))) == MIXTURE.shapes


def test_shapes_of_older_files_are_of_one_matrix() -> None:
    assert shapes_of_rows([[0, "q", 20, 40]]) == {(0, "q"): (Shape(20, 40, 1),)}
