"""Which blocks of a model can be measured."""

import pytest
from transformers import Lfm2Config, PreTrainedConfig, Qwen3NextConfig

from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.theory.attention import BlockAttention, find_attentions
from tests.trials.architectures import build_model, random_model

SMALL = {
    "vocab_size": 100,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}


def found(name: str) -> list[BlockAttention]:
    model = build_model(name)
    attentions = find_attentions(model, find_layout(model))
    assert len(attentions) == model.config.num_hidden_layers
    return [each for each in attentions if each is not None]


@pytest.mark.parametrize(
    ("name", "heads", "groups", "key_size"),
    [
        ("gptj", 4, 4, 8),
        ("gpt2", 4, 4, 8),
        ("gpt_neox", 4, 4, 8),
        ("llama", 4, 2, 8),
        ("qwen3", 4, 2, 12),
        ("falcon-7b", 4, 1, 8),
        ("falcon-40b", 4, 2, 8),
        ("mixtral", 4, 2, 8),
    ],
)
def test_every_block_is_cut_into_its_heads(name: str, heads: int, groups: int, key_size: int) -> None:
    attentions = found(name)
    assert {(each.heads, each.groups, each.key_size, each.value_size) for each in attentions} == {
        (heads, groups, key_size, key_size)
    }


@pytest.mark.parametrize(("name", "scale"), [("gptj", 8**-0.5), ("gemma2", 12**-0.5), ("gpt_neo", 1.0)])
def test_the_scale_is_the_one_that_the_attention_uses(name: str, scale: float) -> None:
    assert found(name)[0].scale == pytest.approx(scale)


def attentions_of(config: PreTrainedConfig) -> tuple[BlockAttention | None, ...]:
    model = random_model(config)
    return find_attentions(model, find_layout(model))


def test_of_a_hybrid_the_blocks_with_attention_can_be_measured() -> None:
    without, has = attentions_of(Lfm2Config(**SMALL, layer_types=["conv", "full_attention"]))
    assert without is None
    assert has is not None


def test_attention_whose_queries_carry_a_gate_cannot_be_measured() -> None:
    types = ["linear_attention", "full_attention"]
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    config = Qwen3NextConfig(**SMALL, **experts, layer_types=types, head_dim=8, shared_expert_intermediate_size=16)
    assert attentions_of(config) == (None, None)
