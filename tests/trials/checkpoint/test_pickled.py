import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.models.find import find_checkpoint
from clipsweep.trials.models.load import load_model
from tests.trials.models.test_find import settings


@pytest.fixture
def pickled(tiny_gptj: Path, tmp_path: Path) -> Path:
    """The tiny model with pickled weights only."""
    folder = tmp_path / "pickled"
    shutil.copytree(tiny_gptj, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return folder


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


@pytest.mark.parametrize("changed", ["model.safetensors", "config.json"])
def test_a_damaged_copy_is_made_again_and_reported(
    changed: str, pickled: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = find_checkpoint(settings(pickled, allow_bin=True), cache)
    content = (found / changed).read_bytes()
    (found / changed).write_bytes(content[:-1] + b"\1")
    again = find_checkpoint(settings(pickled, allow_bin=True), cache)
    assert (again / changed).read_bytes() == content
    assert "is damaged or of an older version; it is made again" in caplog.text


def test_a_copy_that_lost_a_file_is_made_again(pickled: Path, cache: Path) -> None:
    found = find_checkpoint(settings(pickled, allow_bin=True), cache)
    (found / "tokenizer.json").unlink()
    assert (find_checkpoint(settings(pickled, allow_bin=True), cache) / "tokenizer.json").is_file()


@pytest.mark.parametrize(
    "beside",
    [
        ["pytorch_model-00001-of-00002.bin"],
        ["pytorch_model-00001-of-00003.bin", "pytorch_model-00003-of-00003.bin"],
        ["pytorch_model-00002-of-00002.bin"],
        ["pytorch_model-00001-of-00001.bin", "pytorch_model-00002-of-00002.bin"],
        ["pytorch_model.bin", "pytorch_model-00001-of-00001.bin"],
    ],
)
def test_shards_with_a_gap_or_of_two_checkpoints_are_refused(beside: list[str], pickled: Path, cache: Path) -> None:
    content = (pickled / "pytorch_model.bin").read_bytes()
    (pickled / "pytorch_model.bin").unlink()
    for name in beside:
        (pickled / name).write_bytes(content)
    with pytest.raises(ModelError, match=r"expected pytorch_model.bin alone, or each of its shards once"):
        find_checkpoint(settings(pickled, allow_bin=True), cache)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"])
def test_an_adapter_beside_pickled_weights_is_refused_also_where_there_is_a_copy_without_it(
    name: str, pickled: Path, cache: Path
) -> None:
    find_checkpoint(settings(pickled, allow_bin=True), cache)
    (pickled / name).write_text("{}")
    with pytest.raises(ModelError, match=f"holds an adapter .{name}. beside the weights.* merge_and_unload"):
        find_checkpoint(settings(pickled, allow_bin=True), cache)


def test_a_pickle_of_another_purpose_is_no_weight(pickled: Path, cache: Path) -> None:
    (pickled / "pytorch_model_old.bin").write_bytes(b"anything")
    assert find_checkpoint(settings(pickled, allow_bin=True), cache).is_relative_to(cache)


def test_a_pickle_that_runs_code_is_refused(pickled: Path, cache: Path) -> None:
    torch.save({"weight": Path("anything but a tensor")}, pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="cannot be read by torch's weights-only loader"):
        find_checkpoint(settings(pickled, allow_bin=True), cache)
    assert not [path for path in (cache / "checkpoints").iterdir() if path.is_dir()]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"\x80\x02\xff", b"PK\x03\x04torn", b"version https://git-lfs.github.com/spec/v1"]
)
def test_a_damaged_pickle_is_refused_in_one_sentence(content: bytes, pickled: Path, cache: Path) -> None:
    (pickled / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ModelError, match="cannot be read by torch's weights-only loader .*Copy or download") as refused:
        find_checkpoint(settings(pickled, allow_bin=True), cache)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "held", [{3: torch.ones(2)}, {"a": torch.ones(2, device="meta")}, {"a": torch.ones(2).to_sparse()}, {"a": 3}, [3]]
)
def test_a_pickle_of_anything_but_names_and_numbers_is_refused(held: object, pickled: Path, cache: Path) -> None:
    torch.save(held, pickled / "pytorch_model.bin")
    with pytest.raises(ModelError, match="expected a state dict"):
        find_checkpoint(settings(pickled, allow_bin=True), cache)
