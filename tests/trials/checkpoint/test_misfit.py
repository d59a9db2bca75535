from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.misfit import Misfit

CONFIG = {"num_hidden_layers": 2, "attention_bias": False, "hidden_size": 32, "tie_word_embeddings": False}


def words(**misfit: Any) -> str:
    with pytest.raises(ModelError) as refused:
        Misfit(**misfit).check(Path("folder"), CONFIG)
    return str(refused.value)


def test_what_fits_is_not_refused() -> None:
    Misfit().check(Path("folder"), CONFIG)


def test_a_refusal_counts_all_tensors_and_names_three() -> None:
    names = tuple(f"model.layers.0.{letter}.bias" for letter in "dcba")
    assert words(unplaced=names) == (
        "folder: the model has no place for 4 tensors (model.layers.0.a.bias, model.layers.0.b.bias, "
        "model.layers.0.c.bias, …), which would be dropped (its config says attention_bias: false). Expected files and "
        "config of one model. Mend config.json so that it describes these files, or save the model again with "
        "save_pretrained."
    )


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = words(unplaced=("a",), lacking=("lm_head.weight",), shapes=(("b", (3,), (32,)),), doubled=(("c", "d"),))
    assert "no place for 1 tensor (a)" in said
    assert "lack 1 tensor (lm_head.weight), which would be random (its config says tie_word_embeddings: false)" in said
    assert "b is 3 in the files and 32 in the model (its config says hidden_size: 32)" in said
    assert "c and d are for one place" in said


def test_the_id_of_a_token_is_no_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CONFIG, "eos_token_id", 32)
    assert "in the model (its config says hidden_size: 32)" in words(shapes=(("b", (3,), (32,)),))


@pytest.mark.parametrize("name", ["model.layers.2.x.bias", "transformer.h.2.x", "gpt_neox.layers.11.x", "layers.2.x"])
def test_of_a_layer_beyond_the_config_its_count_is_said(name: str) -> None:
    assert f"({name}), which would be dropped (its config says num_hidden_layers: 2)" in words(unplaced=(name,))


@pytest.mark.parametrize(
    ("name", "mend"),
    [
        ("base_model.model.x.lora_A.weight", "An adapter was never merged"),
        ("module.x.weight", "The names begin with 'module.', of a wrapper"),
        ("x.weight_scale", "They look quantised"),
        ("x.scale_shift_table", "Mend config.json"),
    ],
)
def test_the_mend_goes_by_the_names(name: str, mend: str) -> None:
    assert mend in words(unplaced=(name,))
