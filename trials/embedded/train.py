"""Train the embedded model from scratch: ``python -m trials.embedded.train --out FOLDER``.

A small GPT-J and its byte-level BPE tokenizer, both made from the synthetic episodes of ``trials.episodes`` alone. Each
step sees fresh episodes of two to six classes; the loss is next-token cross-entropy, mostly at the label words. Texts
start as single words, which makes an episode a plain look-up in the prompt, and grow to the task's length and noise:
without that start, learning from demonstrations sets in too late to be of use. For the same reason what separates text
and label is one token. The seed fixes every draw.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import GPTJConfig, GPTJForCausalLM, PreTrainedTokenizerFast

from trials.episodes import LABELS, NEUTRAL, TASK_NOISE, TOPICS, WORDS_PER_TOPIC, Noise, draw_episode, draw_text

END = "<|endoftext|>"
STEPS = 3200
LOOKUP_STEPS = 1000
TASK_STEPS = 2000
EPISODES_PER_STEP = 32
TEXTS_PER_EPISODE = 18
CLASSES = (2, 6)
FIXED_SHARE = 0.25
TEXT_WEIGHT = 0.1
LEARNING_RATE = 2e-3
WARMUP_STEPS = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """One step's episodes, right-padded.

    Attributes:
        ids: Token ids, shape ``(episodes, longest)``.
        weights: Loss weight of each token as a target; same shape, 0 for padding.
        learnt: Whether a token is a label that the demonstrations before it determine; same shape.
    """

    ids: Tensor
    weights: Tensor
    learnt: Tensor


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE in which every word of the task family, with a leading space, is one token."""
    words = [*TOPICS, *(word for topic in TOPICS.values() for word in topic), *NEUTRAL, *LABELS]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(["- " + " ".join(words) + ":"] * 8, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=END, eos_token=END, pad_token=END)


def build_model(tokenizer: PreTrainedTokenizerFast) -> GPTJForCausalLM:
    """Untrained GPT-J: 6 layers, width 128, 4 heads, context 512."""
    config = GPTJConfig(
        vocab_size=len(tokenizer),
        n_positions=512,
        n_embd=128,
        n_layer=6,
        n_head=4,
        rotary_dim=16,
        initializer_range=0.05,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPTJForCausalLM(config)


def hardness_at(step: int) -> float:
    """0 while texts are single words, 1 once they are the task's own, linear in between."""
    return min(1.0, max(0.0, (step - LOOKUP_STEPS) / (TASK_STEPS - LOOKUP_STEPS)))


def between(easy: float, task: float, hardness: float) -> float:
    """A setting on its way from easy to the task's own."""
    return easy + (task - easy) * hardness


def noise_at(hardness: float) -> Noise:
    """How texts are drawn."""
    shortest, longest = (round(between(1, words, hardness)) for words in TASK_NOISE.words)
    return Noise(
        own=between(1.0, TASK_NOISE.own, hardness),
        rival=between(0.0, TASK_NOISE.rival, hardness),
        words=(shortest, longest),
    )


def draw_batch(tokenizer: PreTrainedTokenizerFast, rng: random.Random, hardness: float) -> Batch:
    """Draw one step's episodes. Easy ones are all fresh, and only their labels count."""
    columns: tuple[list[Tensor], ...] = ([], [], [])
    noise, text_weight = noise_at(hardness), TEXT_WEIGHT * hardness
    words_per_topic = round(between(1, WORDS_PER_TOPIC, hardness))
    for _ in range(EPISODES_PER_STEP):
        fixed = rng.random() < FIXED_SHARE * hardness
        episode = draw_episode(rng, fixed=fixed, n_classes=rng.randint(*CLASSES), words_per_topic=words_per_topic)
        ids, weights, learnt = [0], [0.0], [False]
        for number in range(TEXTS_PER_EPISODE):
            label = rng.randrange(len(episode.topics))
            text = f"- {draw_text(rng, episode, label, noise)}: {episode.labels[label]}\n"
            tokens = tokenizer.encode(text, add_special_tokens=False)
            ids += tokens
            weights += [text_weight] * (len(tokens) - 2) + [1.0, text_weight]
            learnt += [False] * (len(tokens) - 2) + [not fixed and number >= TEXTS_PER_EPISODE // 2, False]
        for column, values in zip(columns, (ids, weights, learnt), strict=True):
            column.append(torch.tensor(values))
    return Batch(*(torch.nn.utils.rnn.pad_sequence(column, batch_first=True) for column in columns))


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up, constant until the task's own noise is reached, then cosine decay to a fiftieth."""
    decay = max(0.0, (step - TASK_STEPS) / max(1, steps - TASK_STEPS))
    return LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS) * (0.51 + 0.49 * math.cos(math.pi * decay))


def train(steps: int, seed: int) -> tuple[GPTJForCausalLM, PreTrainedTokenizerFast]:
    """Train for ``steps`` steps; prints the loss every 50, and that of labels learnt from demonstrations."""
    torch.manual_seed(seed)
    rng = random.Random(f"train {seed}")
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    started = time.monotonic()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = learning_rate(step, steps)
        batch = draw_batch(tokenizer, rng, hardness_at(step))
        logits = model(batch.ids, use_cache=False).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch.ids[:, 1:], reduction="none")
        weights = batch.weights[:, 1:]
        loss = (losses * weights).sum() / weights.sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            learnt = losses[batch.learnt[:, 1:]].mean()
            print(
                f"step {step}: loss {loss:.3f}, learnt labels {learnt:.3f}, {time.monotonic() - started:.0f} s",
                flush=True,
            )
    return model, tokenizer


def main() -> None:
    """Train and save a model folder that ``from_pretrained`` reads."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(2)
    model, tokenizer = train(args.steps, args.seed)
    model.save_pretrained(args.out)
    tokenizer.save_pretrained(args.out)


if __name__ == "__main__":
    main()
