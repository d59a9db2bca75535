"""Train the embedded model from scratch: ``python -m clipsweep.trials.embedded.train --out FOLDER``.

A small GPT-J and its byte-level BPE tokenizer, both made from the synthetic episodes of ``trials.episodes`` alone. Each
step sees fresh episodes of two to six classes; the loss is next-token cross-entropy, mostly at the label words.

Learning from demonstrations sets in late, or never, on the task itself. It sets in at once after three easier stages:
sequences of random words said twice (which makes induction heads), then texts of a single word with labels drawn from
many words (a look-up in the prompt), then texts that grow towards the task's length and noise. The seed fixes every
draw.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import GPTJConfig, GPTJForCausalLM, PreTrainedTokenizerFast

from clipsweep.trials.tasks.episodes import (
    LABELS,
    NEUTRAL,
    TASK_NOISE,
    TOPICS,
    WORDS_PER_TOPIC,
    Noise,
    draw_episode,
    draw_text,
)

END = "<|endoftext|>"
STEPS = 1000
COPY_STEPS = 400
LOOKUP_STEPS = 700
TASK_STEPS = 1400  # training stops well before: a model that has seen the task's own noise leaves nothing to gain
EPISODES_PER_STEP = 48
TEXTS_PER_EPISODE = 18
COPIED_WORDS = (6, 30)
CLASSES = (2, 6)
FIXED_SHARE = 0.25
TEXT_WEIGHT = 0.1
LEARNING_RATE = 3e-3
WARMUP_STEPS = 50

TOPIC_WORDS = tuple(word for words in TOPICS.values() for word in words)
MANY_LABELS = LABELS + tuple(word.upper() for word in TOPIC_WORDS)


Sequence = tuple[list[int], list[float], list[bool]]


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
    words = [*TOPIC_WORDS, *NEUTRAL, *(name.upper() for name in TOPICS), *MANY_LABELS]
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=4000, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator([" " + " ".join(words)] * 8, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token=END, eos_token=END, pad_token=END)


def build_model(tokenizer: PreTrainedTokenizerFast) -> GPTJForCausalLM:
    """Untrained GPT-J: 6 layers, width 128, 4 heads, context 512."""
    config = GPTJConfig(
        vocab_size=len(tokenizer),
        n_positions=512,
        n_embd=128,
        n_layer=6,
        n_head=4,
        rotary_dim=32,
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


def draw_batch(tokenizer: PreTrainedTokenizerFast, rng: random.Random, step: int) -> Batch:
    """Draw one step's sequences: copies at first, then episodes that grow harder."""
    if step < COPY_STEPS:
        drawn = [_draw_copy(tokenizer, rng) for _ in range(EPISODES_PER_STEP)]
    else:
        drawn = [_draw_episode(tokenizer, rng, hardness_at(step)) for _ in range(EPISODES_PER_STEP)]
    columns = ([torch.tensor(column) for column in columns] for columns in zip(*drawn, strict=True))
    return Batch(*(torch.nn.utils.rnn.pad_sequence(column, batch_first=True) for column in columns))


def _draw_copy(tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> Sequence:
    """Random words, said twice: the second time each is determined, by its neighbour and not by a fixed distance."""
    words = " " + " ".join(rng.choice(TOPIC_WORDS + MANY_LABELS) for _ in range(rng.randint(*COPIED_WORDS)))
    tokens = tokenizer.encode(words, add_special_tokens=False)
    known = [False] * (len(tokens) + 2) + [True] * (len(tokens) - 1)
    return [0, *tokens, *tokens], [float(each) for each in known], known


def _draw_episode(tokenizer: PreTrainedTokenizerFast, rng: random.Random, hardness: float) -> Sequence:
    """An episode of many texts. Easy ones are all fresh, and only their labels count.

    The first label of a class in a fresh episode cannot be known, so it does not count: its noise would drown the rest.
    """
    fixed = rng.random() < FIXED_SHARE * hardness
    pool = LABELS if rng.random() < 0.5 * hardness else MANY_LABELS
    episode = draw_episode(
        rng,
        labels=None if fixed else pool,
        n_classes=rng.randint(*CLASSES),
        words_per_topic=round(between(1, WORDS_PER_TOPIC, hardness)),
    )
    noise, text_weight = noise_at(hardness), TEXT_WEIGHT * hardness
    ids, weights, learnt = [0], [0.0], [False]
    shown: set[int] = set()
    for _ in range(TEXTS_PER_EPISODE):
        label = rng.randrange(len(episode.topics))
        text = f" {draw_text(rng, episode, label, noise)} {episode.labels[label]}\n"
        tokens = tokenizer.encode(text, add_special_tokens=False)
        ids += tokens
        weights += [text_weight] * (len(tokens) - 2) + [float(fixed or label in shown), text_weight]
        learnt += [False] * (len(tokens) - 2) + [not fixed and label in shown, False]
        shown.add(label)
    return ids, weights, learnt


def train(steps: int, seed: int) -> tuple[GPTJForCausalLM, PreTrainedTokenizerFast]:
    """Train for ``steps`` steps; prints the loss every 50, and that of labels learnt from demonstrations."""
    torch.manual_seed(seed)
    rng = random.Random(f"train {seed}")
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    started = time.monotonic()
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARMUP_STEPS)
        batch = draw_batch(tokenizer, rng, step)
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
