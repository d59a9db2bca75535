from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.load import load_model
from tests.conftest import save_tiny_model
from tests.trials.architectures import build_model
from tests.trials.checkpoint.folders import copy_of, store, tensors_of

Tensors = dict[str, Tensor]
UP = "model.layers.0.mlp.up_proj"


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers, an untied head, no biases."""
    folder = save_tiny_model(tmp_path_factory.mktemp("llama"), "llama")
    assert "lm_head.weight" in tensors_of(folder)
    return folder


def with_tensors(folder: Path, change: Callable[[Tensors], Tensors]) -> Path:
    store(change(tensors_of(folder)), folder)
    return folder


def refusal(folder: Path, cache: Path) -> str:
    """The words of the refusal before a model is loaded; loading it must be refused as well."""
    with pytest.raises(ModelError) as refused:
        describe_checkpoint(folder, "float32", cache)
    with pytest.raises(ModelError):
        load_model(folder, "float32", "cpu")
    return str(refused.value)


def test_attention_biases_that_the_config_has_no_place_for_are_refused(
    llama: Path, tmp_path: Path, cache: Path
) -> None:
    names = [f"model.layers.{layer}.self_attn.{role}_proj.bias" for layer in (0, 1) for role in "qo"]
    folder = with_tensors(copy_of(llama, tmp_path / "m"), lambda held: held | {name: torch.ones(32) for name in names})
    said = refusal(folder, cache)
    assert "no place for 4 tensors (model.layers.0.self_attn.o_proj.bias, model.layers.0.self_attn.q_proj.bias," in said
    assert "its config says attention_bias: false" in said
    assert "Mend config.json" in said


def test_layers_beyond_the_config_are_refused(llama: Path, tmp_path: Path, cache: Path) -> None:
    said = refusal(copy_of(llama, tmp_path / "m", num_hidden_layers=1), cache)
    assert "no place for 9 tensors (model.layers.1.input_layernorm.weight" in said
    assert "(its config says num_hidden_layers: 1)" in said


def test_layers_that_the_files_lack_are_refused(llama: Path, tmp_path: Path, cache: Path) -> None:
    said = refusal(copy_of(llama, tmp_path / "m", num_hidden_layers=3), cache)
    assert "the files lack 9 tensors (model.layers.2.input_layernorm.weight" in said
    assert "would be random (its config says num_hidden_layers: 3)" in said


@pytest.mark.parametrize(
    ("added", "mend"),
    [
        (f"{UP}.lora_A.weight", "An adapter was never merged: merge it with peft's merge_and_unload"),
        (f"base_model.model.{UP}.lora_B.default.weight", "An adapter was never merged"),
        (f"{UP}.modules_to_save.default.weight", "An adapter was never merged"),
        (f"{UP}.weight_scale", "They look quantised: set model.path to the checkpoint that they were made from"),
        (f"{UP}.weight_scale_inv", "They look quantised"),
        (f"{UP}.qzeros", "They look quantised"),
        (f"{UP}.weight.absmax", "They look quantised"),
        ("v_head.summary.weight", "Mend config.json so that it describes these files"),
        ("model.layers.0.self_attn.q_norm.weight", "Mend config.json"),
        ("vision_tower.embeddings.weight", "Mend config.json"),
        ("lm_head.bias", "Mend config.json"),
    ],
)
def test_a_tensor_without_a_place_is_refused_with_its_mend(
    added: str, mend: str, llama: Path, tmp_path: Path, cache: Path
) -> None:
    folder = with_tensors(copy_of(llama, tmp_path / "m"), lambda held: held | {added: torch.ones(4, 4)})
    said = refusal(folder, cache)
    assert f"no place for 1 tensor ({added}), which would be dropped" in said
    assert mend in said


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "base_model.model."])
def test_the_prefix_of_a_wrapper_is_refused_by_name(prefix: str, llama: Path, tmp_path: Path, cache: Path) -> None:
    folder = with_tensors(
        copy_of(llama, tmp_path / "m"), lambda held: {f"{prefix}{name}": tensor for name, tensor in held.items()}
    )
    assert f"The names begin with '{prefix}', of a wrapper" in refusal(folder, cache)


def test_another_shape_is_refused_with_what_the_config_says(llama: Path, tmp_path: Path, cache: Path) -> None:
    said = refusal(copy_of(llama, tmp_path / "m", intermediate_size=40), cache)
    assert "the shapes differ of 6 tensors" in said
    assert "model.layers.0.mlp.down_proj.weight is 32 by 48 in the files and 32 by 40 in the model" in said
    assert "intermediate_size: 40" in said


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.bool, torch.int32, torch.float8_e4m3fn])
def test_weights_that_are_no_floats_are_refused(dtype: torch.dtype, llama: Path, tmp_path: Path, cache: Path) -> None:
    folder = with_tensors(
        copy_of(llama, tmp_path / "m"), lambda held: held | {f"{UP}.weight": torch.ones(48, 32).to(dtype)}
    )
    said = refusal(folder, cache)
    assert f"floats where the files have none in 1 tensor ({UP}.weight)" in said
    assert "They look quantised" in said


def test_two_tensors_for_one_place_are_refused(llama: Path, tmp_path: Path, cache: Path) -> None:
    folder = with_tensors(
        copy_of(llama, tmp_path / "m"), lambda held: held | {"layers.0.mlp.up_proj.weight": torch.ones(48, 32)}
    )
    said = refusal(folder, cache)
    assert "layers.0.mlp.up_proj.weight" in said
    assert "are for one place, and only one of them would be read" in said


def test_a_head_that_the_files_lack_is_refused(llama: Path, tmp_path: Path, cache: Path) -> None:
    folder = with_tensors(copy_of(llama, tmp_path / "m"), lambda held: without(held, "lm_head.weight"))
    assert "lack 1 tensor (lm_head.weight), which would be random (its config says tie_word" in refusal(folder, cache)


def test_a_head_that_differs_from_the_embedding_to_which_it_is_tied_is_refused(
    llama: Path, tmp_path: Path, cache: Path
) -> None:
    folder = copy_of(llama, tmp_path / "m", tie_word_embeddings=True)
    for _ in ("tried", "remembered"):
        with pytest.raises(
            ModelError, match="lm_head.weight and model.embed_tokens.weight with different values.*false"
        ):
            describe_checkpoint(folder, "float32", cache)


def test_a_head_that_equals_the_embedding_to_which_it_is_tied_passes(llama: Path, tmp_path: Path, cache: Path) -> None:
    folder = copy_of(llama, tmp_path / "m", tie_word_embeddings=True)
    with_tensors(folder, lambda held: held | {"lm_head.weight": held["model.embed_tokens.weight"].clone()})
    assert describe_checkpoint(folder, "float32", cache).n_layers == 2


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("model.layers.0.self_attn.rotary_emb.inv_freq", (4,)),
        ("model.rotary_emb.inv_freq", (4,)),
        ("model.layers.1.self_attn.rotary_emb.cos_cached", (1, 1, 256, 8)),
        ("model.layers.0.self_attn.masked_bias", ()),
        ("model.layers.0.self_attn.bias", (1, 1, 256, 256)),
    ],
)
def test_a_leftover_that_every_model_computes_for_itself_passes(
    name: str, shape: tuple[int, ...], llama: Path, tmp_path: Path, cache: Path
) -> None:
    folder = with_tensors(copy_of(llama, tmp_path / "m"), lambda held: held | {name: torch.ones(shape)})
    assert describe_checkpoint(folder, "float32", cache).n_layers == 2
    load_model(folder, "float32", "cpu")


@pytest.mark.parametrize("architecture", ["gpt2", "gptj", "gpt_neo"])
def test_masks_of_old_checkpoints_pass(architecture: str, tmp_path: Path, cache: Path) -> None:
    build_model(architecture).save_pretrained(tmp_path)
    prefix = "transformer.h.0.attn.attention" if architecture == "gpt_neo" else "transformer.h.0.attn"
    masks = {
        f"{prefix}.bias": torch.ones(1, 1, 256, 256, dtype=torch.uint8),
        f"{prefix}.masked_bias": torch.tensor(-1e9),
    }
    with_tensors(tmp_path, lambda held: held | masks)
    assert describe_checkpoint(tmp_path, "float32", cache).n_layers == 2
    load_model(tmp_path, "float32", "cpu")


@pytest.mark.parametrize("architecture", ["gpt2", "qwen2", "gemma2", "opt", "bloom", "falcon-7b"])
def test_a_checkpoint_of_the_model_below_a_tied_head_passes(architecture: str, tmp_path: Path, cache: Path) -> None:
    model = build_model(architecture)
    model.base_model.save_pretrained(tmp_path)
    assert describe_checkpoint(tmp_path, "float32", cache).parameters_total == model.num_parameters()
    loaded = load_model(tmp_path, "float32", "cpu")
    assert all(torch.equal(one, other) for one, other in zip(model.parameters(), loaded.parameters(), strict=True))


def test_an_expert_too_few_is_refused(tmp_path: Path, cache: Path) -> None:
    build_model("mixtral").save_pretrained(tmp_path)
    lost = {name for name in tensors_of(tmp_path) if "layers.0" in name and "experts.2." in name}
    with_tensors(tmp_path, lambda held: without(held, *lost))
    assert len(lost) == 3
    assert "experts" in refusal(tmp_path, cache)


def without(held: Tensors, *names: str) -> Tensors:
    return {name: tensor for name, tensor in held.items() if name not in names}


@pytest.mark.parametrize("damage", [b"", b"{", b'{"content": {"tied": 3}}', b"\xff"])
def test_damaged_notes_are_found_out_anew(damage: bytes, llama: Path, cache: Path) -> None:
    before = describe_checkpoint(llama, "float32", cache)
    for note in (*cache.glob("fits/*"), *cache.glob("shapes/*")):
        note.write_bytes(damage)
    assert describe_checkpoint(llama, "float32", cache) == before
