"""Tiny random models of the architectures that clipsweep promises to read, built from configs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTJConfig,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    Olmo2Config,
    OpenAIGPTConfig,
    OPTConfig,
    Phi3Config,
    PhiConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen2MoeConfig,
    Qwen3Config,
    StableLmConfig,
)

from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.facts import facts_of

VOCABULARY_SIZE = 100
CONTEXT_LENGTH = 256
SPREAD = 0.3
WINDOW = 8

_GPT2_NAMES = {"n_positions": CONTEXT_LENGTH, "n_embd": 32, "n_layer": 2, "n_head": 4}
_NEW_NAMES = {
    "max_position_embeddings": CONTEXT_LENGTH,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
_LLAMA_NAMES = {**_NEW_NAMES, "intermediate_size": 48, "num_key_value_heads": 2}
_GEMMA_NAMES = {**_LLAMA_NAMES, "head_dim": 12, "query_pre_attn_scalar": 12, "sliding_window": WINDOW}
_EXPERTS = {"num_experts_per_tok": 2}
_FALCON_NAMES = {**_NEW_NAMES, "alibi": False}

_TABLE: dict[str, tuple[type[Any], dict[str, Any]]] = {
    "gptj": (GPTJConfig, {**_GPT2_NAMES, "rotary_dim": 4}),
    "gpt2": (GPT2Config, {**_GPT2_NAMES}),
    "gpt_neo": (
        GPTNeoConfig,
        {
            "max_position_embeddings": CONTEXT_LENGTH,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
            "window_size": WINDOW,
        },
    ),
    "gpt_neox": (GPTNeoXConfig, {**_NEW_NAMES, "intermediate_size": 48}),
    "llama": (LlamaConfig, {**_LLAMA_NAMES, "tie_word_embeddings": False}),
    "mistral": (MistralConfig, {**_LLAMA_NAMES, "head_dim": 12, "sliding_window": WINDOW}),
    "mixtral": (MixtralConfig, {**_LLAMA_NAMES, **_EXPERTS, "num_local_experts": 3}),
    "qwen2": (Qwen2Config, {**_LLAMA_NAMES, "tie_word_embeddings": True}),
    "qwen2_moe": (
        Qwen2MoeConfig,
        {
            **_LLAMA_NAMES,
            **_EXPERTS,
            "num_hidden_layers": 3,
            "num_experts": 3,
            "moe_intermediate_size": 20,
            "shared_expert_intermediate_size": 24,
            "mlp_only_layers": [1],
        },
    ),
    "qwen3": (Qwen3Config, {**_LLAMA_NAMES, "head_dim": 12, "tie_word_embeddings": True}),
    "gemma2": (Gemma2Config, {**_GEMMA_NAMES, "attn_logit_softcapping": 5.0, "final_logit_softcapping": 8.0}),
    "gemma3_text": (
        Gemma3TextConfig,
        {
            **_GEMMA_NAMES,
            "num_hidden_layers": 3,
            "layer_types": ["sliding_attention", "full_attention"] * 1 + ["sliding_attention"],
        },
    ),
    "phi": (PhiConfig, {**_LLAMA_NAMES}),
    "phi3": (Phi3Config, {**_LLAMA_NAMES, "pad_token_id": 0, "sliding_window": None}),
    "opt": (OPTConfig, {**_NEW_NAMES, "ffn_dim": 48, "word_embed_proj_dim": 32}),
    "bloom": (BloomConfig, {"hidden_size": 32, "n_layer": 2, "n_head": 4, "seq_length": CONTEXT_LENGTH}),
    "falcon-7b": (FalconConfig, {**_FALCON_NAMES, "multi_query": True, "parallel_attn": True}),
    "falcon-40b": (FalconConfig, {**_FALCON_NAMES, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon-rw": (
        FalconConfig,
        {**_FALCON_NAMES, "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True},
    ),
    "olmo2": (Olmo2Config, {**_LLAMA_NAMES}),
    "stablelm": (StableLmConfig, {**_LLAMA_NAMES, "qk_layernorm": True}),
    "openai-gpt": (OpenAIGPTConfig, {**_GPT2_NAMES}),
}


def _config_of(name: str) -> Callable[..., PreTrainedConfig]:
    def make(vocabulary_size: int = VOCABULARY_SIZE) -> PreTrainedConfig:
        config, settings = _TABLE[name]
        made: PreTrainedConfig = config(vocab_size=vocabulary_size, bos_token_id=0, eos_token_id=1, **settings)
        return made

    return make


ARCHITECTURES: dict[str, Callable[..., PreTrainedConfig]] = {name: _config_of(name) for name in _TABLE}


def build_model(name: str, seed: int = 0, vocabulary_size: int = VOCABULARY_SIZE) -> PreTrainedModel:
    """A small float32 model of one of ``ARCHITECTURES``, in evaluation mode."""
    return random_model(ARCHITECTURES[name](vocabulary_size), seed)


def random_model(config: PreTrainedConfig, seed: int = 0) -> PreTrainedModel:
    """A float32 model in evaluation mode: matrices and biases random, norms near one.

    All parameters are drawn here, since some architectures begin with biases, or whole routers, of zeros.
    """
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            noise = SPREAD * torch.randn(parameter.shape, generator=draw)
            parameter.copy_(noise if parameter.dim() > 1 else parameter + noise / 2)
    built: PreTrainedModel = model.eval().requires_grad_(False)
    return built


def card_of(model: PreTrainedModel) -> ModelCard:
    """The card of a model that lies in no folder."""
    facts = facts_of(model)
    return ModelCard(
        fingerprint="0" * 32,
        dtype=str(model.dtype).removeprefix("torch."),
        weight_bytes=model.dtype.itemsize * facts["parameters_total"],
        **facts,
    )
