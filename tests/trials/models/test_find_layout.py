import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    CodeGenConfig,
    DynamicCache,
    GPTBigCodeConfig,
    GptOssConfig,
    Llama4TextConfig,
    MambaConfig,
    PreTrainedConfig,
    PreTrainedModel,
)

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.clips.edit import swapped
from clipsweep.trials.models.find_layout import find_layout
from tests.trials.architectures import ARCHITECTURES, build_model, random_model

SMALL = {"vocab_size": 100, "bos_token_id": 0, "eos_token_id": 1}
EXPERTS = {
    "hidden_size": 32,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "num_local_experts": 3,
    "num_experts_per_tok": 2,
    "pad_token_id": 0,
}
ODD: dict[str, Callable[[], PreTrainedConfig]] = {  # laid out in ways that the table's architectures are not
    "gpt_oss": lambda: GptOssConfig(**EXPERTS, **SMALL),
    "llama4_text": lambda: Llama4TextConfig(
        **EXPERTS, **SMALL, intermediate_size_mlp=20, attn_temperature_tuning=False
    ),
    "gpt_bigcode": lambda: GPTBigCodeConfig(n_embd=32, n_layer=2, n_head=4, n_positions=64, **SMALL),
    "gpt_bigcode-heads": lambda: GPTBigCodeConfig(
        n_embd=32, n_layer=2, n_head=4, n_positions=64, multi_query=False, **SMALL
    ),
}
GATED = (
    "llama",
    "mistral",
    "mixtral",
    "qwen2",
    "qwen2_moe",
    "qwen3",
    "gemma2",
    "gemma3_text",
    "phi3",
    "olmo2",
    "stablelm",
    "llama4_text",
)
IDS = torch.randint(2, 100, (2, 12), generator=torch.Generator().manual_seed(0))

every_architecture = pytest.mark.parametrize("name", [*ARCHITECTURES, *ODD])


def make_model(name: str) -> PreTrainedModel:
    return random_model(ODD[name]()) if name in ODD else build_model(name)


def edited(model: PreTrainedModel, change: Callable[[Tensor], Tensor], *roles: str) -> AbstractContextManager[None]:
    """The model with the matrices of ``roles`` in block 0 changed."""
    copies: dict[str, Tensor] = {}
    layout = find_layout(model)
    for matrix in (matrix for role in roles for matrix in layout.matrices[0, role]):
        stored = copies.setdefault(matrix.parameter, model.get_parameter(matrix.parameter).clone())
        matrix.write(stored, change(matrix.read(stored)))
    return swapped(model, copies)


def logits_with(model: PreTrainedModel, change: Callable[[Tensor], Tensor], *roles: str) -> Tensor:
    with edited(model, change, *roles), torch.no_grad():
        logits: Tensor = model(IDS).logits
    return logits


def cached_with(model: PreTrainedModel, *zeroed: str) -> tuple[Tensor, Tensor]:
    """Keys and values that block 0 computes with some of its matrices zero."""
    seen: list[tuple[Tensor, Tensor]] = []

    cache: Any = DynamicCache(config=model.config)
    update = cache.update

    def record(keys: Tensor, values: Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append((keys.clone(), values.clone()))
        return update(keys, values, *args, **kwargs)

    cache.update = record
    with edited(model, torch.zeros_like, *zeroed), torch.no_grad():
        model(IDS, past_key_values=cache, use_cache=True)
    return seen[0]


def without_biases(model: PreTrainedModel) -> PreTrainedModel:
    for name, parameter in model.named_parameters():
        if re.search(r"bias$|sinks$", name):
            parameter.zero_()
    return model


@every_architecture
def test_each_entry_of_the_weights_in_blocks_is_in_one_matrix(name: str) -> None:
    model = make_model(name)
    layout = find_layout(model)
    routers = re.compile(r".*(mlp\.gate|router|shared_expert_gate)\.weight|.*_bias")
    marks = {
        parameter: torch.zeros_like(stored)
        for parameter, stored in model.named_parameters()
        if parameter.startswith(layout.blocks) and stored.ndim > 1 and not routers.fullmatch(parameter)
    }
    for matrix in (matrix for held in layout.matrices.values() for matrix in held):
        matrix.write(marks[matrix.parameter], matrix.read(marks[matrix.parameter]) + 1)
    assert all((mark == 1).all() for mark in marks.values())


@every_architecture
def test_what_is_written_is_read(name: str) -> None:
    model = make_model(name)
    draw = torch.Generator().manual_seed(0)
    for matrix in (matrix for held in find_layout(model).matrices.values() for matrix in held):
        values = torch.randn(matrix.rows, matrix.cols, generator=draw)
        matrix.write(model.get_parameter(matrix.parameter), values)
        assert torch.equal(matrix.read(model.get_parameter(matrix.parameter)), values)


@pytest.mark.parametrize("name", sorted({*ARCHITECTURES, *ODD} - {"openai-gpt"}))  # which keeps no cache
def test_keys_come_from_role_k_and_values_from_role_v(name: str) -> None:
    model = make_model(name)
    keys, values = cached_with(model)
    for role in ("q", "k", "v", "o"):
        edited_keys, edited_values = cached_with(model, role)
        assert torch.equal(edited_keys, keys) == (role != "k")
        assert torch.equal(edited_values, values) == (role != "v")


def test_openai_gpt_takes_queries_keys_and_values_from_their_roles(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build_model("openai-gpt")
    seen: list[tuple[Tensor, ...]] = []
    attention: Any = model.transformer.h[0].attn
    attend = attention._attn

    def record(*args: Any) -> Any:
        seen.append(args[:3])
        return attend(*args)

    monkeypatch.setattr(attention, "_attn", record)
    for roles in ((), ("q",), ("k",), ("v",), ("o",)):
        logits_with(model, torch.zeros_like, *roles)
    same = [[torch.equal(a, b) for a, b in zip(seen[0], other, strict=True)] for other in seen[1:]]
    assert same == [[False, True, True], [True, False, True], [True, True, False], [True, True, True]]


@every_architecture
def test_without_queries_the_keys_do_not_count(name: str) -> None:
    model = without_biases(make_model(name))
    no_queries = logits_with(model, torch.zeros_like, "q")
    assert torch.equal(logits_with(model, torch.zeros_like, "q", "k"), no_queries)
    torch.testing.assert_close(logits_with(model, torch.zeros_like, "k"), no_queries)
    assert not torch.allclose(logits_with(model, torch.clone, "q"), no_queries, atol=1e-3)


@every_architecture
def test_without_values_or_output_the_attention_adds_nothing(name: str) -> None:
    model = without_biases(make_model(name))
    no_output = logits_with(model, torch.zeros_like, "o")
    torch.testing.assert_close(logits_with(model, torch.zeros_like, "v"), no_output)
    torch.testing.assert_close(logits_with(model, torch.zeros_like, "q", "k", "v"), no_output)
    assert not torch.allclose(logits_with(model, torch.zeros_like, "q"), no_output, atol=1e-3)


@pytest.mark.parametrize("name", GATED)
def test_the_mlp_is_linear_in_up_and_down_but_not_in_gate(name: str) -> None:
    model = without_biases(make_model(name))
    up, gate, down = (logits_with(model, lambda values: 2 * values, role) for role in ("up", "gate", "down"))
    torch.testing.assert_close(up, down)
    assert not torch.allclose(gate, down, atol=1e-3)


@pytest.mark.parametrize("name", sorted({*ARCHITECTURES, *ODD} - {"gpt_oss"}))
def test_without_any_one_of_its_matrices_the_mlp_adds_nothing(name: str) -> None:
    model = without_biases(make_model(name))
    roles = [role for layer, role in find_layout(model).matrices if layer == 0 and role not in ("q", "k", "v", "o")]
    first, *others = (logits_with(model, torch.zeros_like, role) for role in roles)
    assert others
    for other in others:
        torch.testing.assert_close(other, first)
    assert not torch.allclose(logits_with(model, torch.clone, *roles), first, atol=1e-3)


def test_gate_and_up_of_gpt_oss_alternate() -> None:
    model = without_biases(make_model("gpt_oss"))  # whose experts compute gate * sigmoid(1.702 * gate) * (up + 1)
    no_gate, no_up, no_down = (logits_with(model, torch.zeros_like, role) for role in ("gate", "up", "down"))
    torch.testing.assert_close(no_gate, no_down)
    assert not torch.allclose(no_up, no_down, atol=1e-3)


@every_architecture
def test_a_model_without_tensors_has_the_same_layout(name: str) -> None:
    model = make_model(name)
    with torch.device("meta"):
        empty = AutoModelForCausalLM.from_config(model.config)
    assert find_layout(empty) == find_layout(model)


@pytest.mark.parametrize(
    ("name", "blocks", "attention", "mlp"),
    [
        ("gptj", "transformer.h", "attn", "mlp"),
        ("gpt_neo", "transformer.h", "attn.attention", "mlp"),
        ("mixtral", "model.layers", "self_attn", "mlp"),
        ("qwen2_moe", "model.layers", "self_attn", "mlp"),
        ("opt", "model.decoder.layers", "self_attn", None),
        ("falcon-40b", "transformer.h", "self_attention", "mlp"),
    ],
)
def test_paths_lead_to_the_modules_that_take_the_hidden_state(
    name: str, blocks: str, attention: str, mlp: str | None
) -> None:
    layout = find_layout(build_model(name))
    assert (layout.blocks, layout.attention, layout.mlp) == (blocks, attention, mlp)


class Config(SimpleNamespace):
    """The part of a config that the search reads."""

    def get_text_config(self, decoder: bool) -> "Config":
        return self


class Decoder(nn.Module):
    """Blocks of our own making."""

    def __init__(self, **lists: list[nn.Module]) -> None:
        super().__init__()
        self.config = Config(model_type="own", num_hidden_layers=2, num_attention_heads=2, hidden_size=4)
        for name, blocks in lists.items():
            self.add_module(name, nn.ModuleList(blocks))


def linear(**sizes: tuple[int, int]) -> nn.ModuleDict:
    return nn.ModuleDict({name: nn.Linear(inputs, outputs) for name, (inputs, outputs) in sizes.items()})


def attention() -> nn.ModuleDict:
    return linear(q_proj=(4, 4), k_proj=(4, 2), v_proj=(4, 2), o_proj=(4, 4))


def gated() -> nn.ModuleDict:
    return linear(w1=(4, 6), w2=(6, 4), w3=(4, 6))


def block(**more: nn.Module) -> nn.ModuleDict:
    return nn.ModuleDict({"attention": attention(), "mlp": linear(fc1=(4, 6), fc2=(6, 4)), **more})


def test_experts_in_a_module_list_are_found_one_by_one() -> None:
    mixtures = [nn.ModuleDict({"experts": nn.ModuleList([gated(), gated()]), "gate": nn.Linear(4, 2)}) for _ in "ab"]
    layout = find_layout(Decoder(h=[nn.ModuleDict({"attn": attention(), "moe": mixture}) for mixture in mixtures]))
    assert layout.mlp == "moe"
    assert [matrix.parameter for matrix in layout.matrices[1, "up"]] == [
        "h.1.moe.experts.0.w3.weight",
        "h.1.moe.experts.1.w3.weight",
    ]


def test_blocks_without_attention_have_no_path_to_it_in_common() -> None:
    layout = find_layout(Decoder(h=[block(), nn.ModuleDict({"mixer": linear(in_proj=(4, 8)), "mlp": gated()})]))
    assert (layout.attention, layout.mlp) == (None, "mlp")
    assert [layer for layer, role in layout.matrices if role == "q"] == [0]


def test_cross_attention_is_passed_over() -> None:
    layout = find_layout(Decoder(h=[block(encoder_attn=attention()), block(encoder_attn=attention())]))
    assert layout.attention == "attention"


def test_a_model_without_attention_is_refused_with_what_was_found() -> None:
    config = MambaConfig(hidden_size=8, num_hidden_layers=2, vocab_size=20, pad_token_id=0, eos_token_id=1)
    with pytest.raises(
        ModelError, match=r"a mamba model cannot be clipped: expected .* \(2\) blocks .*in_proj, x_proj"
    ):
        find_layout(AutoModelForCausalLM.from_config(config))


def test_codegen_which_cuts_its_heads_four_ways_with_values_before_keys_is_refused() -> None:
    config = CodeGenConfig(**SMALL, n_embd=32, n_layer=2, n_head=4, n_positions=64, rotary_dim=4)
    with pytest.raises(ModelError, match=r"a codegen model cannot be clipped: .*; found .*qkv_proj.*fc_in"):
        find_layout(AutoModelForCausalLM.from_config(config))


def test_a_model_without_blocks_is_refused() -> None:
    with pytest.raises(ModelError, match=r"expected a module list of num_hidden_layers \(2\) .*; found h \(1\)"):
        find_layout(Decoder(h=[block()]))


def test_two_lists_of_decoder_blocks_are_refused() -> None:
    with pytest.raises(ModelError, match="a and b both hold decoder blocks; expected one list"):
        find_layout(Decoder(a=[block(), block()], b=[block(), block()]))


def test_two_attention_modules_in_a_block_are_refused() -> None:
    with pytest.raises(ModelError, match=r"h\.1 has attention matrices in attention and in second; expected one"):
        find_layout(Decoder(h=[block(), block(second=attention())]))


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (linear(query_key_value=(4, 10), dense=(4, 4)), "has 10 outputs; expected 2 times queries, keys and values"),
        (linear(gate_up_proj=(4, 12), down_proj=(5, 4)), "has 12 outputs; expected gate and up, twice the 5 inputs"),
    ],
)
def test_a_fused_weight_that_does_not_divide_is_refused(module: nn.ModuleDict, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        find_layout(Decoder(h=[block(odd=module), block(odd=module)]))
