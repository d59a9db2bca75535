import errno
import json
import os
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedModel

from clipsweep.trials.base.errors import EvaluationError, ModelError, PlaceError, SpecError, WriteError
from clipsweep.trials.checkpoint.weight_files import stored_tensors, weight_files
from clipsweep.trials.clips.edit import edit_weights
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.export import write as write_module
from clipsweep.trials.export.draft_folder import check_empty
from clipsweep.trials.export.shards import metadata_of
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import ARCHITECTURES
from tests.trials.export.written import CLIPS, order_of, resolved_for, save_model, write, written


def edited_state(model: PreTrainedModel, folder: Path, clips: tuple[Clip, ...] = CLIPS) -> dict[str, Tensor]:
    """All weights of a model with those that a trial would have in place of the clipped ones."""
    edited = edit_weights(model, find_layout(model), resolved_for(model, clips), FactorCache(folder / "cache"))
    return {name: edited.get(name, tensor) for name, tensor in model.state_dict().items()}


def loaded_state(folder: Path) -> dict[str, Tensor]:
    model, report = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values())
    return dict(model.state_dict())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_plain_transformers_loads_the_weights_of_the_trial_bit_for_bit(name: str, tmp_path: Path) -> None:
    model, out = written(name, tmp_path)
    expected, found = edited_state(model, tmp_path), loaded_state(out)
    assert found.keys() == expected.keys()
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


def test_draws_are_those_of_the_trial_where_a_role_has_experts_and_a_shared_one(tmp_path: Path) -> None:
    clips = (Clip(layer=0, module="mlp", clip_rate=0.6, kind="random"),)
    model = save_model("qwen2_moe", tmp_path / "model")
    write(order_of(model, tmp_path / "model", clips), tmp_path / "out")
    expected, found = edited_state(model, tmp_path, clips), loaded_state(tmp_path / "out")
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


def test_a_file_that_no_clip_touches_is_copied_byte_for_byte(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    changed = write(order_of(model, tmp_path / "model"), tmp_path / "out").changed
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    touched = {index["weight_map"][name] for name in changed}
    names = {path.name for path in weight_files(tmp_path / "model")}
    assert names == {path.name for path in weight_files(tmp_path / "out")}
    assert 0 < len(touched) < len(names)
    for name in names - touched:
        assert (tmp_path / "model" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


def test_a_file_that_changes_tells_its_recipe(tmp_path: Path) -> None:
    model = save_model("gpt2", tmp_path / "model", "10MB")
    write(order_of(model, tmp_path / "model"), tmp_path / "out")
    metadata = metadata_of(tmp_path / "out" / "model.safetensors")
    assert metadata["format"] == "pt"
    recipe = json.loads(metadata["clipsweep"])
    assert recipe["clips"][1]["clip_rate"] == 0.9
    assert recipe["model_fingerprint"] == "f" * 32


@pytest.mark.parametrize("name", ["gemma2", "gpt2"])
def test_a_tied_head_that_the_files_hold_twice_is_stored_once(name: str, tmp_path: Path) -> None:
    model = save_model(name, tmp_path / "model", "10MB")
    path = tmp_path / "model" / "model.safetensors"
    embedding = model.get_input_embeddings().weight
    save_file(load_file(path) | {"lm_head.weight": embedding.clone()}, path, metadata={"format": "pt"})
    write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert stored_tensors(tmp_path / "model").keys() - stored_tensors(tmp_path / "out").keys() == {"lm_head.weight"}
    expected, found = edited_state(model, tmp_path), loaded_state(tmp_path / "out")
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


@pytest.mark.parametrize(("name", "word"), [("gptj", "bfloat16"), ("mixtral", "float16")])
def test_another_dtype_is_that_of_every_float_and_of_the_config(name: str, word: str, tmp_path: Path) -> None:
    model = save_model(name, tmp_path / "model")
    write(order_of(model, tmp_path / "model", written_as=word), tmp_path / "out")
    kinds = Counter(tensor.dtype for tensor in stored_tensors(tmp_path / "out").values())
    assert set(kinds) == {"BF16" if word == "bfloat16" else "F16"}
    expected, found = edited_state(model, tmp_path), loaded_state(tmp_path / "out")
    assert [key for key in expected if not torch.equal(found[key], expected[key].to(getattr(torch, word)))] == []


def test_weights_are_clipped_in_the_dtype_of_the_study_whatever_the_files_hold(tmp_path: Path) -> None:
    model = save_model("llama", tmp_path / "full")
    model.to(torch.bfloat16).save_pretrained(tmp_path / "model")
    write(order_of(model, tmp_path / "model", dtype="bfloat16", written_as="bfloat16"), tmp_path / "out")
    expected, found = edited_state(model, tmp_path), loaded_state(tmp_path / "out")
    assert [key for key in expected if not torch.equal(found[key], expected[key])] == []


def test_tokenizer_generation_config_chat_templates_and_licence_come_along(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    names = ("tokenizer.json", "generation_config.json", "chat_template.jinja", "LICENSE", "vocab.txt")
    for name in (*names, "additional_chat_templates/tool.jinja"):
        (tmp_path / "model" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "model" / name).write_text(f'{{"{name}": 1}}')
    (tmp_path / "model" / "pytorch_model.bin").write_text("not ours")
    write(order_of(model, tmp_path / "model"), tmp_path / "out")
    for name in (*names, "additional_chat_templates/tool.jinja"):
        assert (tmp_path / "out" / name).read_text() == f'{{"{name}": 1}}'
    assert (tmp_path / "out" / "README.md").read_text() == "# A model\n"
    assert not (tmp_path / "out" / "pytorch_model.bin").exists()


def test_the_config_is_that_of_the_source(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    write(order_of(model, tmp_path / "model"), tmp_path / "out")
    one, other = (json.loads((tmp_path / name / "config.json").read_text()) for name in ("model", "out"))
    assert one == other


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    (tmp_path / "out").mkdir()
    write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert (tmp_path / "out" / "config.json").is_file()


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_stands_at_the_place_is_not_written_over(what: str, tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    if what == "folder":
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine").write_text("mine")
    else:
        (tmp_path / "out").write_text("mine")
    with pytest.raises(PlaceError, match="not empty: it holds mine" if what == "folder" else "no folder"):
        write(order_of(model, tmp_path / "model"), tmp_path / "out")


def beside(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"cache"}


@pytest.mark.parametrize("name", ["model-00002", "generation_config.json", "README.md", ".index.json", "config.json"])
def test_a_full_disk_leaves_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save_model("gptj", tmp_path / "model")
    replace_file = os.replace

    def full(draft: Path, path: Path) -> None:
        if name in path.name and path.parent.name.startswith(".draft"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace_file(draft, path)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match=r"writing .*out failed: no space is left"):
        write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert beside(tmp_path) == {"model"}


def test_ctrl_c_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save_model("gptj", tmp_path / "model")

    def interrupted(*_: object) -> None:
        assert any((tmp_path / path).glob("*.safetensors") for path in beside(tmp_path) - {"model"})
        raise KeyboardInterrupt

    monkeypatch.setattr(write_module, "copy_text_files", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert beside(tmp_path) == {"model"}


def test_what_makes_it_load_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = save_model("gptj", tmp_path / "model")

    def copied(_: Path, draft: Path) -> None:
        shutil.copytree(draft, tmp_path / "as-killed")

    monkeypatch.setattr(write_module, "copy_text_files", copied)
    write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert any((tmp_path / "as-killed").glob("*.safetensors"))
    with pytest.raises((OSError, ValueError)):
        AutoModelForCausalLM.from_pretrained(tmp_path / "as-killed")


def test_a_disk_with_too_little_room_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_model("gptj", tmp_path / "model")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(PlaceError, match=r"has 0\.0 MiB free, and the checkpoint takes 0\.1 MiB"):
        write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert beside(tmp_path) == {"model"}


def test_a_shard_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    path = weight_files(tmp_path / "model")[-1]
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ModelError, match=rf"{path.name} is \d+ bytes; its header says"):
        write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert beside(tmp_path) == {"model"}


def test_weights_that_are_not_finite_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model", "10MB")
    path = tmp_path / "model" / "model.safetensors"
    tensors = load_file(path)
    tensors["transformer.h.1.mlp.fc_in.weight"][0, 0] = torch.nan
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(EvaluationError, match=r"fc_in.* not finite"):
        write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert beside(tmp_path) == {"model"}


def test_a_parameter_that_transformers_does_not_write_back_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = save_model("mixtral", tmp_path / "model")
    from clipsweep.trials.export import changes

    monkeypatch.setattr(changes, "revert_weight_conversion", lambda _, weights: dict(weights))
    with pytest.raises(ModelError, match="in a form that transformers reads and does not write back"):
        write(order_of(model, tmp_path / "model"), tmp_path / "out")


def test_factors_that_nothing_would_be_smaller_by_are_refused(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    clips = (Clip(layer=0, module="q", clip_rate=0.1),)
    with pytest.raises(SpecError, match="Take --format dense"):
        write(order_of(model, tmp_path / "model", clips, format="factored"), tmp_path / "out")


def test_factors_in_the_cache_are_used(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    order = order_of(model, tmp_path / "model")
    cache = FactorCache(tmp_path / "cache")
    edit_weights(model, find_layout(model), order.clips, cache)
    again = FactorCache(tmp_path / "cache")
    write_module.write_checkpoint(order, tmp_path / "out", again)
    assert (again.n_computed, again.n_found) == (0, cache.n_computed)


def test_a_link_to_an_empty_folder_stays_and_that_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "disk" / "real").mkdir(parents=True)
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "real")
    model = save_model("gptj", tmp_path / "model")
    write(order_of(model, tmp_path / "model"), tmp_path / "out")
    assert (tmp_path / "out").is_symlink()
    assert (tmp_path / "disk" / "real" / "config.json").is_file()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["real"]


def test_a_mount_point_is_refused_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "real")
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path.resolve() / "real")
    with pytest.raises(PlaceError, match=r"out is where a disk is mounted, .*Choose one in it, such as .*out/clipped"):
        check_empty(tmp_path / "out")
