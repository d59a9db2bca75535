import json
import shutil
import subprocess
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
import pytest
import torch
from safetensors.torch import load_file, save_file

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.checkpoints import describe_checkpoint, find_checkpoint, find_config
from clipsweep.trials.models.load import load_model
from clipsweep.trials.models.settings import ModelSettings
from clipsweep.trials.spec.shape import Shape
from tests.trials.architectures import ARCHITECTURES, build_model


def settings(path: Path | str, allow_bin: bool = False) -> ModelSettings:
    return ModelSettings(path=str(path), dtype="float32", allow_bin=allow_bin)


@pytest.fixture
def pickled(tiny_gptj: Path, tmp_path: Path) -> Path:
    """The tiny model with pickled weights only."""
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_gptj, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


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
        "import sys; from pathlib import Path; from clipsweep.trials.models.checkpoints import describe_checkpoint\n"
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


def test_a_missing_folder_is_refused_with_what_was_expected(cache: Path) -> None:
    with pytest.raises(ModelError, match="model.path is './nowhere': no such folder; expected a folder with config"):
        find_checkpoint(settings("./nowhere"), cache)


def test_a_hub_name_that_cannot_be_had_is_refused(cache: Path) -> None:
    with pytest.raises(ModelError, match="the hub did not give it"):
        find_checkpoint(settings("nobody/no-such-model"), cache)


def test_for_a_config_no_weights_of_a_hub_name_are_asked_for(
    tiny_gptj: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str, list[str]]] = []

    def download(name: str, revision: str, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        return str(tiny_gptj)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_config(replace(settings("some/model"), revision="v1")) == tiny_gptj
    [(name, revision, patterns)] = asked
    assert (name, revision) == ("some/model", "v1")
    assert not [pattern for pattern in patterns if fnmatch("model.safetensors", pattern)]
    assert [pattern for pattern in patterns if fnmatch("config.json", pattern)]


def test_a_revision_of_a_folder_is_refused(tiny_gptj: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="model.revision is 'main', but .* is a folder; remove the revision"):
        find_checkpoint(replace(settings(tiny_gptj), revision="main"), cache)


def test_a_folder_without_config_is_refused(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="has no config.json"):
        find_checkpoint(settings(tmp_path), cache)


def test_a_folder_without_weights_is_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copy(tiny_gptj / "config.json", tmp_path / "config.json")
    with pytest.raises(ModelError, match="has no weights; expected model.safetensors"):
        find_checkpoint(settings(tmp_path), cache)


def test_a_folder_of_other_than_float_weights_is_refused(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    shutil.copy(tiny_gptj / "config.json", tmp_path / "config.json")
    save_file({"codes": torch.zeros(2, dtype=torch.int8)}, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match="has no float weights; expected model.safetensors"):
        describe_checkpoint(tmp_path, "float32", cache)


def test_pickled_weights_are_refused_with_the_key_that_allows_them(pickled: Path, cache: Path) -> None:
    with pytest.raises(ModelError, match="pickled weights only.*Set model.allow_bin: true"):
        find_checkpoint(settings(pickled), cache)


def test_allowed_pickled_weights_are_converted_once_and_equal(pickled: Path, tiny_gptj: Path, cache: Path) -> None:
    found = find_checkpoint(settings(pickled, allow_bin=True), cache)
    written = (found / "model.safetensors").stat().st_mtime_ns
    again = find_checkpoint(settings(pickled, allow_bin=True), cache)
    ours, theirs = load_file(found / "model.safetensors"), load_file(tiny_gptj / "model.safetensors")
    assert found.is_relative_to(cache)
    assert again == found
    assert (again / "model.safetensors").stat().st_mtime_ns == written
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_sharded_pickled_weights_load_like_the_original(pickled: Path, tiny_gptj: Path, cache: Path) -> None:
    tensors = torch.load(pickled / "pytorch_model.bin", weights_only=True)
    names = sorted(tensors)
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        torch.save({name: tensors[name] for name in part}, pickled / f"pytorch_model-0000{number}-of-00002.bin")
    (pickled / "pytorch_model.bin").unlink()
    model = load_model(find_checkpoint(settings(pickled, allow_bin=True), cache), "float32", "cpu")
    original = load_model(tiny_gptj, "float32", "cpu")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), original.parameters(), strict=True))


def test_a_pickle_that_runs_code_is_refused(pickled: Path, cache: Path) -> None:
    torch.save({"weight": Path("anything but a tensor")}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be read by torch's weights-only loader"):
        find_checkpoint(settings(pickled, allow_bin=True), cache)
    assert not [path for path in (cache / "checkpoints").iterdir() if path.is_dir()]


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


def test_a_checkpoint_that_lacks_weights_is_refused(tiny_gptj: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_gptj, tmp_path / "partial")
    tensors = load_file(tiny_gptj / "model.safetensors")
    tensors.pop("transformer.h.1.mlp.fc_in.weight")
    save_file(tensors, tmp_path / "partial" / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match="lacks 1 weights, transformer.h.1.mlp.fc_in.weight"):
        load_model(tmp_path / "partial", "float32", "cpu")
