"""Attention heads of real models as linear-attention blocks, and real hidden states as demonstrations for them."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedModel

from clipsweep.trials.models.find import EMBEDDED_FOLDER
from clipsweep.trials.models.load import load_model
from clipsweep.trials.tasks.episodes import draw_episode, draw_text
from clipsweep.trials.theory.linear_stack import LinearBlock
from tests.conftest import REAL_MODEL, SHARED

TOKENS = 32  # the demonstrations of the theory are tokens here: the last so many of a prompt
SHOTS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """What the theory needs of a GPT-J.

    Attributes:
        query: Of each block, shape ``(heads, keys, width)``, float64; over the root of the keys and over the tokens.
        key: Of each block, ``(heads, keys, width)``. Rotary positions are left out.
        value: Of each block, ``(heads, keys, width)``.
        output: Of each block, the part of its output matrix for each head, ``(heads, width, keys)``.
        hidden: What enters the attention of each block, after its norm, ``(width, TOKENS)``, for each prompt.
    """

    query: tuple[Tensor, ...]
    key: tuple[Tensor, ...]
    value: tuple[Tensor, ...]
    output: tuple[Tensor, ...]
    hidden: tuple[tuple[Tensor, ...], ...]

    @property
    def heads(self) -> int:
        """Heads of a block."""
        return self.query[0].shape[0]

    def paper_head(self, block: int, head: int) -> LinearBlock:
        """One head as the paper has it, without an output matrix: that is multiplied into the values."""
        value = self.output[block][head] @ self.value[block][head]
        return LinearBlock(query=self.query[block][head], key=self.key[block][head], value=value)

    def whole_head(self, block: int, head: int) -> LinearBlock:
        """One head, with its output matrix where the paper's relaxed MLP is."""
        return LinearBlock(
            query=self.query[block][head],
            key=self.key[block][head],
            value=self.value[block][head],
            mlp=self.output[block][head],
        )

    def all_heads(self, block: int) -> LinearBlock:
        """All heads of a block."""
        return LinearBlock(
            query=self.query[block], key=self.key[block], value=self.value[block], mlp=self.output[block]
        )


def attention_of(model: PreTrainedModel, prompts: Sequence[Sequence[int]]) -> Attention:
    """Matrices of a GPT-J, and its hidden states over some prompts."""
    blocks = model.transformer.h
    heads, width = model.config.n_head, model.config.n_embd
    keys = width // heads

    def split(weight: Tensor) -> Tensor:
        return weight.detach().double().reshape(heads, keys, width)

    return Attention(
        query=tuple(split(block.attn.q_proj.weight) / keys**0.5 / TOKENS for block in blocks),
        key=tuple(split(block.attn.k_proj.weight) for block in blocks),
        value=tuple(split(block.attn.v_proj.weight) for block in blocks),
        output=tuple(split(block.attn.out_proj.weight.T).mT.contiguous() for block in blocks),
        hidden=tuple(_hidden(model, prompt) for prompt in prompts),
    )


@torch.inference_mode()
def _hidden(model: PreTrainedModel, prompt: Sequence[int]) -> tuple[Tensor, ...]:
    """What each block's norm gives, for the last tokens of a prompt."""
    kept: list[Tensor] = []

    def keep(_: Any, __: Any, output: Tensor) -> None:
        kept.append(output[0, -TOKENS:].double().T.clone())

    hooks = [block.ln_1.register_forward_hook(keep) for block in model.transformer.h]
    model(torch.tensor([list(prompt)]))
    for hook in hooks:
        hook.remove()
    return tuple(kept)


def embedded_attention(prompts: int) -> Attention:
    """Of the embedded model, on demonstrations of its own task."""
    return _read(EMBEDDED_FOLDER, embedded_texts(prompts))


def prompts_attention(prompts: int) -> Attention:
    """Of ``gptj-prompts-5m`` of the shared folder, on demonstrations of SST-2."""
    return _read(REAL_MODEL, review_texts(prompts))


def embedded_texts(prompts: int) -> list[str]:
    """Demonstrations of the embedded model's own task, ten in each prompt."""
    rng = random.Random(0)
    return [_episode(rng) for _ in range(prompts)]


def review_texts(prompts: int) -> list[str]:
    """Demonstrations of SST-2, ten in each prompt."""
    rng = random.Random(0)
    lines = (SHARED / "data" / "sst2" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    return [_reviews(rng.sample(lines, SHOTS)) for _ in range(prompts)]


def _episode(rng: random.Random) -> str:
    episode = draw_episode(rng)
    labels = [rng.randrange(len(episode.topics)) for _ in range(SHOTS)]
    return "".join(f" {draw_text(rng, episode, label)} {episode.labels[label]}\n" for label in labels)


def _reviews(lines: Sequence[str]) -> str:
    rows = [json.loads(line) for line in lines]
    words = ("negative", "positive")
    return "".join(f"text: {row['sentence']}\nsentiment: {words[row['label']]}\n" for row in rows)


def _read(folder: Path, texts: Sequence[str]) -> Attention:
    return attention_of(*read_model(folder, texts))


def read_model(folder: Path, texts: Sequence[str]) -> tuple[PreTrainedModel, list[list[int]]]:
    """A model, and texts as its tokens."""
    model, tokenizer = load_model(folder, "float32", "cpu"), AutoTokenizer.from_pretrained(folder)
    return model, [[0, *tokenizer.encode(text, add_special_tokens=False)] for text in texts]
