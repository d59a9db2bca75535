"""Implicit updates by the definition: matrices of the model's width, in float64, token by token and head by head.

Where a matrix lies is told by ``tests.trials.reference``, and owes nothing to ``find_layout`` or ``trials.theory``.
"""

import random
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from tests.trials.architectures import VOCABULARY_SIZE, card_of
from tests.trials.reference import GROUPS, matrices_of

N_TOKENS = 11
ROOMY = Budget(device_bytes=10**9, host_bytes=0)


def draw_prompts(seed: int = 0, demonstrations: int = 3) -> Prompts:
    """Four short queries after a prefix."""
    draw = random.Random(seed)

    def tokens(count: int) -> Tokens:
        return tuple(draw.randrange(2, VOCABULARY_SIZE) for _ in range(count))

    queries = tuple(Query(tokens=tokens(count), labels=((5,), (6,)), gold=0) for count in (4, 2, 5, 3))
    return replace(Prompts(prefix=tokens(N_TOKENS), queries=queries), demonstrations=demonstrations)


def make_engine(model: PreTrainedModel, cache: Path, *, theory: bool = True) -> Engine:
    return Engine(model, card_of(model), FactorCache(cache), ROOMY, theory=theory)


def run_plainly(model: PreTrainedModel, prompts: Prompts) -> tuple[dict[str, Tensor], list[tuple[Tensor, Tensor]]]:
    """Read the prefix with the model's own forward: what each module reads, and the keys and values of each block."""
    reads: dict[str, Tensor] = {}

    def note(name: str) -> Any:
        def hook(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
            if inputs and isinstance(inputs[0], Tensor):
                reads[name] = inputs[0]

        return hook

    with ExitStack() as stack, torch.no_grad():
        for name, module in model.named_modules():
            stack.callback(module.register_forward_pre_hook(note(name)).remove)
        cache = model(torch.tensor([prompts.prefix]), use_cache=True).past_key_values
    return reads, [(layer.keys[0].double(), layer.values[0].double()) for layer in cache.layers]


def attention_of(model: PreTrainedModel, layer: int) -> tuple[dict[str, Tensor], str]:
    """The four matrices of a block, float64, and the module whose input its keys are made from."""
    found = {role: (name, weight[rows]) for name, role, weight, rows in matrices_of(model, layer)}
    return {role: found[role][1].double() for role in GROUPS["attn"]}, found["k"][0].removesuffix(".weight")


def updates_by_hand(model: PreTrainedModel, prompts: Prompts) -> list[Tensor]:
    """``ΔW`` of each block, shape ``(width, width)``, float64."""
    reads, _ = run_plainly(model, prompts)
    heads = model.config.num_attention_heads
    updates = []
    for layer in range(model.config.num_hidden_layers):
        matrices, owner = attention_of(model, layer)
        size = len(matrices["q"]) // heads
        groups = len(matrices["k"]) // size
        values = len(matrices["v"]) // groups
        update = torch.zeros(model.config.hidden_size, model.config.hidden_size, dtype=torch.float64)
        for head in range(heads):
            group = head * groups // heads
            q = matrices["q"][head * size : (head + 1) * size]
            k = matrices["k"][group * size : (group + 1) * size]
            v = matrices["v"][group * values : (group + 1) * values]
            o = matrices["o"][:, head * values : (head + 1) * values]
            tokens = reads[owner].double()[0]
            for read in tokens:
                update += o @ torch.outer(v @ read, k @ read) @ q / (size**0.5 * len(tokens))
        updates.append(update)
    return updates


def softmax_norms_by_hand(model: PreTrainedModel, prompts: Prompts) -> list[float]:
    """Log of the norm in feature space for each block: a sum over all pairs of tokens, in float64."""
    _, pairs = run_plainly(model, prompts)
    heads, logs = model.config.num_attention_heads, []
    for layer, (keys, values) in enumerate(pairs):
        matrices, _ = attention_of(model, layer)
        size = values.shape[2]
        centred = keys - keys.mean(dim=1, keepdim=True)
        total = torch.zeros((), dtype=torch.float64)
        for head in range(heads):
            group = head * len(keys) // heads
            outputs = values[group] @ matrices["o"][:, head * size : (head + 1) * size].T
            for one in range(len(outputs)):
                for other in range(len(outputs)):
                    product = centred[group, one] @ centred[group, other] / keys.shape[2] ** 0.5
                    total += product.exp() * (outputs[one] @ outputs[other])
        logs.append(float(total.log()) / 2)
    return logs


def log_norms(matrices: Sequence[Tensor]) -> list[float]:
    return [float(torch.linalg.matrix_norm(matrix).log()) for matrix in matrices]


def gradients_by_hand(updates: Sequence[Tensor]) -> list[Tensor]:
    """``G_t`` of each block, by Theorem 1."""
    whole = torch.zeros_like(updates[0])
    identity = torch.eye(len(whole), dtype=torch.float64)
    gradients = []
    for update in updates:
        gradients.append(update @ (identity + whole))
        whole = whole + gradients[-1]
    return gradients
