import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.models.load import load_model
from clipsweep.trials.spec.shape import Shape
from tests.trials.architectures import ARCHITECTURES, build_model


def test_a_card_agrees_with_the_loaded_model(tiny_model: Path, cache: Path) -> None:
    card = describe_checkpoint(tiny_model, "float32", cache)
    model = load_model(tiny_model, "float32", "cpu")
    assert card.parameters_total == sum(parameter.numel() for parameter in model.parameters())
    assert (card.n_layers, card.context_length, card.hidden_size) == (2, 256, 32)
    name = next(name for name, _ in model.named_parameters() if "1" in name and "k_proj.weight" in name)
    assert card.shapes[1, "k"] == ((*model.get_parameter(name).shape, 1),)
    assert card.experts_per_token == 1


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_card_of_any_architecture_agrees_with_the_model(name: str, tmp_path: Path, cache: Path) -> None:
    model = build_model(name)
    model.save_pretrained(tmp_path / name)
    card = describe_checkpoint(tmp_path / name, "bfloat16", cache)
    assert card.parameters_total == sum(parameter.numel() for parameter in model.parameters())
    assert card.weight_bytes == 2 * card.parameters_total
    assert (card.hidden_size, card.vocabulary_size, card.context_length) == (32, 100, 256)
    assert {layer for layer, _ in card.shapes} == set(range(card.n_layers))


def test_a_mixture_counts_its_experts(tmp_path: Path, cache: Path) -> None:
    build_model("qwen2_moe").save_pretrained(tmp_path / "mixture")
    card = describe_checkpoint(tmp_path / "mixture", "float32", cache)
    assert card.shapes[0, "down"] == (Shape(32, 20, 3), Shape(32, 24, 1))  # three experts and the shared one
    assert card.shapes[1, "down"] == (Shape(32, 48, 1),)
    assert (card.n_layers, card.experts_per_token) == (3, 2)


def test_a_model_that_states_no_longest_sequence_has_a_very_long_one(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "bloom"
    build_model("bloom").save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    config.pop("seq_length")
    (folder / "config.json").write_text(json.dumps(config))
    assert describe_checkpoint(folder, "float32", cache).context_length == 2**20


def test_a_checkpoint_described_before_is_described_without_torch(tiny_gptj: Path, cache: Path) -> None:
    first = describe_checkpoint(tiny_gptj, "float32", cache)
    again = describe_checkpoint(tiny_gptj, "float32", cache)
    script = (
        "import sys; from pathlib import Path; from clipsweep.trials.models.describe import describe_checkpoint\n"
        f"describe_checkpoint(Path({str(tiny_gptj)!r}), 'float32', Path({str(cache)!r}))\n"
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert again == first
    assert answer.stdout.strip() == "set()"


def test_a_changed_config_is_described_anew(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "longer"
    shutil.copytree(tiny_gptj, folder)
    before = describe_checkpoint(folder, "float32", cache)
    config = json.loads((folder / "config.json").read_text()) | {"n_positions": 512}
    (folder / "config.json").write_text(json.dumps(config))
    assert (before.context_length, describe_checkpoint(folder, "float32", cache).context_length) == (256, 512)


def test_a_copied_checkpoint_has_the_same_fingerprint_and_a_changed_one_another(
    tiny_gptj: Path, tmp_path: Path, cache: Path
) -> None:
    copied, changed = tmp_path / "copied", tmp_path / "changed"
    shutil.copytree(tiny_gptj, copied)
    shutil.copytree(tiny_gptj, changed)
    weights = changed / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    original, same, other = (describe_checkpoint(path, "float32", cache) for path in (tiny_gptj, copied, changed))
    assert original.fingerprint == same.fingerprint != other.fingerprint


def test_a_folder_of_other_than_float_weights_is_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copy(tiny_gptj / "config.json", tmp_path / "config.json")
    save_file({"codes": torch.zeros(2, dtype=torch.int8)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="has no float weights; expected model.safetensors"):
        describe_checkpoint(tmp_path, "float32", cache)


def test_a_truncated_weight_file_is_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copytree(tiny_gptj, tmp_path / "torn")
    weights = tmp_path / "torn" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ModelError, match="its header says"):
        describe_checkpoint(tmp_path / "torn", "float32", cache)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("model_type", "mamba", "a mamba model cannot be clipped: expected a module list"),
        ("model_type", "gptj2", "model_type 'gptj2', of which transformers .* builds no causal language model"),
        ("n_layer", "two", "model_type 'gptj', of which .*expected int"),
        ("quantization_config", {"quant_method": "gptq", "bits": 4}, r"is quantised \(gptq\); expected float weights"),
        ("compression_config", {"format": "int"}, "is quantised .*; expected .*Set model.path to the checkpoint"),
    ],
)
def test_a_checkpoint_that_cannot_be_clipped_is_refused(
    tiny_gptj: Path, tmp_path: Path, cache: Path, key: str, value: object, words: str
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(tiny_gptj, folder)
    config = json.loads((folder / "config.json").read_text()) | {key: value}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=words):
        describe_checkpoint(folder, "float32", cache)
