import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

import clipsweep
from clipsweep.trials.base.errors import ModelError, SpecError
from clipsweep.trials.checkpoint.weight_files import stored_tensors
from clipsweep.trials.export.factored import FactoredLinear, load_factored
from clipsweep.trials.export.recipe import DENSE, FACTORED
from tests.trials.architectures import ARCHITECTURES
from tests.trials.export.written import order_of, save_model, write, written
from tests.trials.kinds_in_place import kind_clip

TOKENS = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12], [20, 30, 40, 50, 60, 70, 80, 90]])
ROUNDED = 5e-5  # two products round otherwise than one, and not the same on every processor
WHOLE = {"falcon-7b", "falcon-40b", "falcon-rw"}  # its linear maps are a class of its own


def logits_of(model: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model(TOKENS).logits
    return logits


@pytest.mark.parametrize("name", sorted({*ARCHITECTURES} - WHOLE))
def test_thin_factors_give_the_logits_of_the_dense_checkpoint(name: str, tmp_path: Path) -> None:
    model, out = written(name, tmp_path, FACTORED)
    write(order_of(model, tmp_path / "model"), tmp_path / DENSE)
    dense = AutoModelForCausalLM.from_pretrained(tmp_path / DENSE)
    thin = load_factored(out)
    assert type(thin) is type(dense)
    expected = logits_of(dense)
    assert (logits_of(thin) - expected).abs().max() <= ROUNDED * expected.std()


def test_the_folder_is_as_small_as_the_ranks_say(tmp_path: Path) -> None:
    model, out = written("gptj", tmp_path, FACTORED)
    ranks = json.loads((out / "clipsweep_factored.json").read_text())["modules"]
    names = [f"transformer.h.{layer}.mlp.{name}" for layer in (0, 1) for name in ("fc_in", "fc_out")]
    assert {name: ranks[name] for name in names} == dict(zip(names, (13, 13, 3, 3), strict=True))
    saved = 0
    for name, rank in ranks.items():
        rows, cols = model.get_submodule(name).weight.shape
        assert rank * (rows + cols) < rows * cols
        saved += rows * cols - rank * (rows + cols)
    total = sum(parameter.numel() for parameter in model.parameters())
    files = [load_file(path) for path in out.glob("*.safetensors")]
    assert sum(tensor.numel() for file in files for tensor in file.values()) == total - saved


def test_the_modules_are_replaced_and_keep_their_bias(tmp_path: Path) -> None:
    model, out = written("gpt2", tmp_path, FACTORED)
    thin = load_factored(out)
    replaced = thin.get_submodule("transformer.h.1.mlp.c_fc")
    assert isinstance(replaced, FactoredLinear)
    assert replaced.bias is not None
    assert torch.equal(replaced.bias, model.get_submodule("transformer.h.1.mlp.c_fc").bias)
    assert not isinstance(thin.get_submodule("transformer.h.0.attn.c_attn"), FactoredLinear)  # q, k and v in one


def test_a_tied_head_stays_tied(tmp_path: Path) -> None:
    _, out = written("gemma2", tmp_path, FACTORED)
    thin = load_factored(out)
    assert thin.get_output_embeddings().weight is thin.get_input_embeddings().weight
    assert not any("lm_head" in name for path in out.glob("*.safetensors") for name in load_file(path))


def test_fused_matrices_and_experts_stay_whole_and_are_told(tmp_path: Path) -> None:
    for name, part in (("gpt_neox", "query_key_value"), ("mixtral", "experts")):
        (tmp_path / name).mkdir()
        model, _ = written(name, tmp_path / name)
        told = write(order_of(model, tmp_path / name / "model", format=FACTORED), tmp_path / name / "thin").whole
        assert told
        assert all(part in parameter for parameter in told)


@pytest.mark.parametrize("kind", ["tail", "window"])
def test_kinds_that_keep_other_singular_values_are_thin_too(kind: str, tmp_path: Path) -> None:
    model, clips = save_model("llama", tmp_path / "model"), (kind_clip(kind, clip_rate=0.9),)
    order = order_of(model, tmp_path / "model", clips)
    write(order, tmp_path / DENSE)
    thin = write(order_of(model, tmp_path / "model", clips, format=FACTORED), tmp_path / "thin")
    assert (bool(thin.changed), thin.whole) == (True, ())
    expected = logits_of(AutoModelForCausalLM.from_pretrained(tmp_path / DENSE))
    assert (logits_of(load_factored(tmp_path / "thin")) - expected).abs().max() <= ROUNDED * expected.std()


def test_a_kind_without_a_thin_form_is_refused_in_words(tmp_path: Path) -> None:
    model = save_model("llama", tmp_path / "model")
    order = order_of(model, tmp_path / "model", (kind_clip("randomised"),), format=FACTORED)
    with pytest.raises(SpecError, match="or its kind has no thin form; expected one at least"):
        write(order, tmp_path / "thin")


def test_half_precision_is_kept(tmp_path: Path) -> None:
    model, _ = written("llama", tmp_path)
    order = order_of(model, tmp_path / "model", written_as="bfloat16", format=FACTORED)
    write(order, tmp_path / "half")
    thin = load_factored(tmp_path / "half")
    assert {parameter.dtype for parameter in thin.parameters()} == {torch.bfloat16}


def test_it_is_loaded_by_the_call_that_the_docs_name(tmp_path: Path) -> None:
    _, out = written("gptj", tmp_path, FACTORED)
    model = clipsweep.load_factored(str(out))
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert model.generate(TOKENS[:1], max_new_tokens=3, do_sample=False, pad_token_id=0).shape[1] <= 11


def test_the_generation_config_is_that_of_the_folder(tmp_path: Path) -> None:
    model = save_model("gptj", tmp_path / "model")
    GenerationConfig(max_new_tokens=7, eos_token_id=[3, 4]).save_pretrained(tmp_path / "model")
    write(order_of(model, tmp_path / "model", format=FACTORED), tmp_path / "thin")
    config = load_factored(tmp_path / "thin").generation_config
    assert config is not None
    assert (config.max_new_tokens, config.eos_token_id) == (7, [3, 4])
    (tmp_path / "thin" / "generation_config.json").write_text("{")
    with pytest.raises(ModelError, match="thin does not load"):
        load_factored(tmp_path / "thin")


def test_plain_transformers_refuses_the_folder(tmp_path: Path) -> None:
    model, out = written("gptj", tmp_path, FACTORED)
    with pytest.raises(ValueError, match="model type `clipsweep_factored`"):
        AutoModelForCausalLM.from_pretrained(out)
    with pytest.raises(OSError, match=r"no file named model\.safetensors"):
        type(model).from_pretrained(out)  # the class alone does not look at the type
    with pytest.raises(ModelError, match="has no float weights"):
        stored_tensors(out)


def test_a_version_that_is_not_known_is_refused(tmp_path: Path) -> None:
    _, out = written("gptj", tmp_path, FACTORED)
    path = out / "clipsweep_factored.json"
    path.write_text(path.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(ModelError, match="has format_version 2; this clipsweep knows 1. Upgrade clipsweep"):
        load_factored(out)


def test_a_dense_folder_is_refused(tmp_path: Path) -> None:
    _, out = written("gptj", tmp_path)
    with pytest.raises(ModelError, match="has no clipsweep_factored.json; expected a folder that 'clipsweep apply"):
        load_factored(out)


def test_a_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    _, out = written("gptj", tmp_path, FACTORED)
    path = sorted(out.glob("*.safetensors"))[0]
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ModelError, match=r"is \d+ bytes; its header says"):
        load_factored(out)


def test_a_file_of_another_folder_is_refused(tmp_path: Path) -> None:
    _, out = written("gptj", tmp_path, FACTORED)
    path = sorted(out.glob("*.safetensors"))[0]
    name, tensor = next(iter(load_file(path).items()))
    save_file({name + ".other": tensor}, path)
    with pytest.raises(ModelError, match="are not those that it lists"):
        load_factored(out)


def test_a_manifest_that_leads_out_of_its_folder_is_refused(tmp_path: Path) -> None:
    _, out = written("gptj", tmp_path, FACTORED)
    path = out / "clipsweep_factored.json"
    content = json.loads(path.read_text())
    content["weight_map"] = dict.fromkeys(content["weight_map"], "../model/model.safetensors")
    path.write_text(json.dumps(content))
    with pytest.raises(ModelError, match="expected files of its own folder"):
        load_factored(out)


def test_a_factored_layer_is_the_product_of_its_factors() -> None:
    layer = FactoredLinear(5, 4, 2, bias=True)
    assert layer.bias is not None
    nn.init.ones_(layer.bias)
    inputs = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    expected = inputs @ (layer.up.weight @ layer.down.weight).T + 1
    torch.testing.assert_close(layer(inputs), expected)
