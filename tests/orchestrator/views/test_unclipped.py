from typing import Any

import torch
from transformers import AutoModelForCausalLM as AutoModel
from transformers import GPT2Config, JambaConfig, PreTrainedConfig, Qwen3NextConfig, RecurrentGemmaConfig

from clipsweep.orchestrator.views.model_map import describe_map, map_document, map_of
from tests.trials.architectures import ARCHITECTURES

SMALL = {
    "vocab_size": 100,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}


def model_of(config: PreTrainedConfig) -> Any:
    with torch.device("meta"):
        return AutoModel.from_config(config)


def lines_of(config: PreTrainedConfig) -> list[str]:
    return [line.strip() for line in describe_map(map_of(model_of(config))).splitlines() if "not clipped" in line]


def test_a_model_that_the_modules_cover_says_nothing() -> None:
    assert [lines_of(ARCHITECTURES[name]()) for name in ("gptj", "llama", "phi3", "falcon-40b")] == [[]] * 4


def test_a_router_is_named_with_its_shape_and_share() -> None:
    # a block: q, o 2 x 32 x 32, k, v 2 x 16 x 32, three experts 3 x 3 x 48 x 32; router 3 x 32: 96 of 16,992
    assert lines_of(ARCHITECTURES["mixtral"]()) == [
        "not clipped: 0.565 % of the values in the blocks' matrices: mlp.gate",
        "not clipped: model.layers.{layer}.mlp.gate.weight, 3 × 32",
    ]


def test_state_spaces_and_convolutions_are_named() -> None:
    config = JambaConfig(**SMALL, num_hidden_layers=2, attn_layer_period=2, attn_layer_offset=1, num_experts=2)
    told = " ".join(lines_of(config))
    assert all(f"mamba.{name}" in told for name in ("in_proj", "x_proj", "dt_proj", "out_proj", "conv1d", "A_log"))


def test_recurrent_blocks_are_named() -> None:
    told = " ".join(lines_of(RecurrentGemmaConfig(**SMALL, num_hidden_layers=3)))
    assert "temporal_block.linear_x.weight, 32 × 32" in told
    assert "rg_lru.input_gate_weight, 4 × 8 × 8" in told


def test_a_gate_that_is_fused_with_the_queries_is_told() -> None:
    sizes = {"num_hidden_layers": 2, "head_dim": 8, "num_experts": 2, "num_experts_per_tok": 1}
    config = Qwen3NextConfig(**SMALL, **sizes, layer_types=["full_attention"] * 2)
    told = "q holds the attention's gate too, which is clipped with it: 64 outputs for 4 heads of 8"
    assert told in describe_map(map_of(model_of(config))).splitlines()
    assert [map_of(model_of(ARCHITECTURES[name]())).gate for name in ("qwen3", "gemma2", "gpt2")] == [""] * 3


def test_cross_attention_is_named_and_norms_are_not() -> None:
    told = " ".join(lines_of(GPT2Config(vocab_size=100, n_embd=32, n_layer=2, n_head=4, add_cross_attention=True)))
    assert "crossattention.c_attn.weight, 32 × 64" in told
    assert "ln_cross_attn" not in told


def test_json_has_what_is_not_clipped_by_layer() -> None:
    found = map_document(map_of(model_of(ARCHITECTURES["qwen2_moe"]())))["not_clipped"]
    assert [(each["layer"], each["parameter"], each["shape"]) for each in found] == [
        (layer, f"model.layers.{layer}.mlp.{name}.weight", shape)
        for layer in (0, 2)
        for name, shape in (("gate", (3, 32)), ("shared_expert_gate", (1, 32)))
    ]
    assert (found[0]["count"], found[0]["values"]) == (1, 96)
