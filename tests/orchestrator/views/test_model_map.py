import json
from pathlib import Path
from typing import Any

import pytest
from transformers import MambaConfig
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from tests.conftest import save_tiny_model
from tests.trials.architectures import ARCHITECTURES

runner = CliRunner()


def test_weights_that_do_not_fit_their_config_are_refused(tmp_path: Path, cache: Path) -> None:
    folder = save_tiny_model(tmp_path / "m", "llama")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 1}))
    result = runner.invoke(app, ["model", "show", str(folder)])
    assert result.exit_code == 2
    assert "no place for 9 tensors (model.layers.1." in result.stderr


@pytest.fixture
def show(tmp_path: Path) -> Any:
    """What ``model show`` prints of an architecture of the table, from a folder that holds nothing but its config."""

    def run(name: str, *options: str) -> str:
        ARCHITECTURES[name]().save_pretrained(tmp_path / name)
        result = runner.invoke(app, ["model", "show", str(tmp_path / name), *options])
        assert result.exit_code == 0, result.output
        return result.stdout

    return run


def test_a_fused_weight_is_shown_with_the_rows_of_each_role(show: Any) -> None:
    assert show("phi3").splitlines() == [
        "phi3: 2 layers in model.layers, 21,920 parameters, context of 256 tokens",
        "modules to clip: attn (q k v o), mlp (up gate down), all; or one of q k v o up gate down",
        "",
        "layers 0-1",
        "  q      model.layers.{layer}.self_attn.qkv_proj.weight rows 0:32 of 64, 32 × 32",
        "  k      model.layers.{layer}.self_attn.qkv_proj.weight rows 32:48 of 64, 16 × 32",
        "  v      model.layers.{layer}.self_attn.qkv_proj.weight rows 48:64 of 64, 16 × 32",
        "  o      model.layers.{layer}.self_attn.o_proj.weight, 32 × 32",
        "  up     model.layers.{layer}.mlp.gate_up_proj.weight rows 48:96 of 96, 48 × 32",
        "  gate   model.layers.{layer}.mlp.gate_up_proj.weight rows 0:48 of 96, 48 × 32",
        "  down   model.layers.{layer}.mlp.down_proj.weight, 32 × 48",
    ]


def test_grouped_queries_are_shown_with_the_smaller_keys(show: Any) -> None:
    lines = show("llama").splitlines()
    assert "  q      model.layers.{layer}.self_attn.q_proj.weight, 32 × 32" in lines
    assert "  k      model.layers.{layer}.self_attn.k_proj.weight, 16 × 32" in lines


def test_a_weight_cut_head_by_head_is_shown_as_rows_of_every_head(show: Any) -> None:
    where = "transformer.h.{layer}.self_attention.query_key_value.weight"
    assert f"  k      {where} rows 16:24 of every 32, 16 × 32" in show("falcon-40b").splitlines()


def test_weights_stored_transposed_are_shown_as_columns(show: Any) -> None:
    lines = show("gpt2").splitlines()
    assert "  v      transformer.h.{layer}.attn.c_attn.weight columns 64:96 of 96, 32 × 32, stored transposed" in lines
    assert "  fc_in  transformer.h.{layer}.mlp.c_fc.weight, 128 × 32, stored transposed" in lines


def test_layers_of_another_kind_are_shown_apart_and_experts_counted(show: Any) -> None:
    lines = show("qwen2_moe").splitlines()
    assert [line for line in lines if line.startswith("layer")] == ["layers 0, 2", "layer 1"]
    assert [line for line in lines if line.startswith("  down")] == [
        "  down   model.layers.{layer}.mlp.experts.down_proj, 32 × 20, 3 experts",
        "  down   model.layers.{layer}.mlp.shared_expert.down_proj.weight, 32 × 24",
        "  down   model.layers.{layer}.mlp.down_proj.weight, 32 × 48",
    ]
    assert "a mixture: 2 experts read each token" in lines


def test_json_has_every_layer_and_role(show: Any) -> None:
    document = json.loads(show("mixtral", "--json"))
    roles = ("q", "k", "v", "o", "up", "gate", "down")
    places = [(each["layer"], each["role"]) for each in document["matrices"]]
    assert places == [(layer, role) for layer in (0, 1) for role in roles]
    assert document["matrices"][12] == {
        "layer": 1,
        "role": "gate",
        "parameter": "model.layers.1.mlp.experts.gate_up_proj",
        "stored_shape": [3, 96, 32],
        "transposed": False,
        "groups": 1,
        "start": 0,
        "stop": 48,
        "rows": 48,
        "cols": 32,
        "count": 3,
    }
    assert document["modules"]["mlp"] == ["up", "gate", "down"]
    assert (document["model_type"], document["n_layers"], document["context_length"]) == ("mixtral", 2, 256)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_is_shown_in_few_lines(show: Any, name: str) -> None:
    assert 8 < len(show(name).splitlines()) < 30


def test_the_embedded_model_and_a_checkpoint_are_shown(tiny_gptj: Path) -> None:
    for path, layers in (("embedded", 6), (str(tiny_gptj), 2)):
        result = runner.invoke(app, ["model", "show", path, "--json"])
        assert json.loads(result.stdout)["n_layers"] == layers


def refusal(*arguments: str) -> str:
    result = runner.invoke(app, ["model", "show", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def test_a_model_without_attention_is_refused(tmp_path: Path) -> None:
    MambaConfig(hidden_size=8, num_hidden_layers=2, vocab_size=20).save_pretrained(tmp_path)
    assert "a mamba model cannot be clipped: expected a module list" in refusal(str(tmp_path))


def test_a_quantised_model_is_refused(tmp_path: Path) -> None:
    config: Any = ARCHITECTURES["llama"]()
    config.quantization_config = {"quant_method": "awq", "bits": 4}
    (tmp_path / "config.json").write_text(json.dumps(config.to_dict()))
    assert "is quantised (awq); expected float weights" in refusal(str(tmp_path))


def test_a_folder_without_config_and_a_revision_of_a_folder_are_refused(tmp_path: Path) -> None:
    assert "has no config.json" in refusal(str(tmp_path))
    assert "remove the revision" in refusal("embedded", "--revision", "main")
