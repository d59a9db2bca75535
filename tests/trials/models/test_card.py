from dataclasses import replace

import pytest

from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.shape import Shape

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


def test_negative_layers_count_from_the_end() -> None:
    assert [CARD.layer_index(layer) for layer in (0, 3, -1, -4)] == [0, 3, 3, 0]


@pytest.mark.parametrize("layer", [4, -5])
def test_a_layer_that_the_model_lacks_is_refused(layer: int) -> None:
    with pytest.raises(SpecError, match=f"layer {layer} does not exist: the model has 4 layers; expected -4 to 3"):
        CARD.layer_index(layer)


def test_a_module_that_the_model_lacks_is_refused() -> None:
    with pytest.raises(SpecError, match="module 'gate' has no matrix in a gptj model; it has fc_in"):
        CARD.roles("gate")


def test_roles_of_a_layer_are_those_that_it_has() -> None:
    assert [MIXTURE.roles_at(layer, "all") for layer in (0, 1)] == [("q",), ("q", "up")]


def test_a_layer_without_matrices_of_a_module_is_refused() -> None:
    with pytest.raises(SpecError, match="layer 0 has no matrix of module 'up'; layers that have: 1"):
        MIXTURE.roles_at(0, "up")
