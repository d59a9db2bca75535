import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.checkpoint.weight_files import stored_tensors, weight_files
from clipsweep.trials.models.describe import describe_checkpoint
from tests.trials.checkpoint.folders import copy_of, split, store, write_index

INDEX = "model.safetensors.index.json"


@pytest.fixture
def sharded(tiny_gptj: Path, tmp_path: Path) -> Path:
    """The tiny model in two shards with an index."""
    folder = copy_of(tiny_gptj, tmp_path / "sharded")
    split(folder)
    return folder


def test_shards_hold_what_one_file_holds(sharded: Path, tiny_gptj: Path, cache: Path) -> None:
    whole, parts = stored_tensors(tiny_gptj), stored_tensors(sharded)
    assert {name: each.shape for name, each in parts.items()} == {name: each.shape for name, each in whole.items()}
    assert len(weight_files(sharded)) == 2
    assert describe_checkpoint(sharded, "float32", cache).n_layers == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"weight_map": {', "is not an index of weights: its JSON does not parse"),
        (b"[]", "it holds a list; expected a JSON mapping"),
        (b"\xff", "its JSON does not parse"),
        (b"{}", "its weight_map is null; expected a mapping from tensors to files"),
        (b'{"weight_map": ["a"]}', "its weight_map is a list"),
        (b'{"weight_map": "a"}', 'its weight_map is "a"'),
        (b'{"weight_map": {}}', "its weight_map is a mapping"),
        (b'{"weight_map": {"a": 3}}', "names 3 for a; expected a safetensors file of its own folder"),
        (b'{"weight_map": {"a": ["b"]}}', "names a list for a"),
        (b'{"weight_map": {"a": ""}}', 'names "" for a'),
        (b'{"weight_map": {"a": "b.safetensors"}}', "lacks b.safetensors, which"),
        (b'{"weight_map": {"a": "pytorch_model.bin"}}', 'names "pytorch_model.bin" for a'),
    ],
)
def test_a_damaged_index_is_refused_in_one_sentence(content: bytes, words: str, sharded: Path) -> None:
    (sharded / INDEX).write_bytes(content)
    with pytest.raises(ModelError) as refused:
        weight_files(sharded)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["../x.safetensors", "/x.safetensors", "sub/x.safetensors", "a\\b.safetensors", ".."])
def test_an_index_never_leaves_its_folder(name: str, sharded: Path, tiny_gptj: Path) -> None:
    (sharded / "sub").mkdir()
    for place in (sharded.parent / "x.safetensors", sharded / "sub" / "x.safetensors"):
        place.write_bytes((tiny_gptj / "model.safetensors").read_bytes())
    write_index(sharded, {"weight_map": {"transformer.wte.weight": name}})
    with pytest.raises(ModelError, match="expected a safetensors file of its own folder, without a path"):
        weight_files(sharded)


def test_shards_may_be_links_as_in_the_hubs_cache(sharded: Path, tmp_path: Path) -> None:
    for path in sharded.glob("*.safetensors"):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    assert stored_tensors(sharded)


def test_a_link_to_weights_that_are_gone_is_told(tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    folder = copy_of(tiny_gptj, tmp_path / "linked")
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "gone")
    with pytest.raises(ModelError, match="model.safetensors is a link to .*gone, which is not there"):
        describe_checkpoint(folder, "float32", cache)


def test_a_tensor_that_the_index_names_and_its_shard_lacks_is_told(sharded: Path) -> None:
    index = json.loads((sharded / INDEX).read_text())
    shard = next(iter(index["weight_map"].values()))
    index["weight_map"]["transformer.h.2.mlp.fc_in.weight"] = shard
    write_index(sharded, index)
    with pytest.raises(ModelError, match=f"{shard} lacks transformer.h.2.mlp.fc_in.weight, which .* says it holds"):
        stored_tensors(sharded)


def test_a_tensor_in_two_shards_is_told(sharded: Path) -> None:
    first, second = weight_files(sharded)
    tensors = load_file(first) | load_file(second)
    store(tensors, sharded, second.name)
    with pytest.raises(ModelError, match="twice, in model-00001-of-00002.safetensors and model-00002-of-00002"):
        stored_tensors(sharded)


def test_an_index_of_swapped_shards_is_told(sharded: Path) -> None:
    first, second = weight_files(sharded)
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)
    with pytest.raises(ModelError, match="lacks|says"):
        stored_tensors(sharded)


@pytest.mark.parametrize("stray", ["model-00003-of-00003.safetensors", "model.safetensors"])
def test_a_weight_file_that_would_be_left_aside_is_told(stray: str, sharded: Path, tiny_gptj: Path) -> None:
    (sharded / stray).write_bytes((tiny_gptj / "model.safetensors").read_bytes())
    with pytest.raises(ModelError, match="would not be read: the weights are .*Expected the files of one checkpoint"):
        stored_tensors(sharded)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_beside_the_weights_is_told(name: str, tiny_gptj: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_gptj, tmp_path / "adapted")
    (folder / name).write_text("{}")
    with pytest.raises(ModelError, match=f"holds an adapter .{name}. beside the weights; .*merge_and_unload"):
        stored_tensors(folder)


def test_other_files_of_a_hub_folder_do_no_harm(tiny_gptj: Path, tmp_path: Path) -> None:
    folder = copy_of(tiny_gptj, tmp_path / "hub")
    for name in ("model.fp16.safetensors", "consolidated.safetensors", "pytorch_model.bin", "tf_model.h5"):
        (folder / name).write_bytes(b"other")
    assert stored_tensors(folder)
