"""Train the embedded model from scratch: ``python -m trials.embedded.train --out FOLDER``.

A small GPT-J and its byte-level BPE tokenizer, both made from the synthetic episodes of ``trials.episodes`` alone.
Each step sees fresh episodes; the loss is next-token cross-entropy with extra weight on the label words. Texts start
nearly pure and reach the task's noise after ``EASY_STEPS``: without that, learning from demonstrations sets in late. The
seed fixes every draw; with the same torch build and two threads the weights come out the same.
"""

from __future__ import annotations

import argparse
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import GPTJConfig, GPTJForCausalLM, PreTrainedTokenizerFast

from trials.episodes import LABELS, NEUTRAL, OWN_TOPIC, RIVAL_TOPIC, TOPICS, draw_episode, draw_text

END = "<|endoftext|>"
STEPS = 1800
EPISODES_PER_STEP = 48
TEXTS_PER_EPISODE = 12
FIXED_SHARE = 0.4
LABEL_WEIGHT = 4.0
LEARNING_RATE = 1.5e-3
WARMUP_STEPS = 100
EASY_STEPS = 900


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Byte-level BPE in which every word of the task family, with a leading space, is one token."""
    words = [*TOPICS, *(word for topic in TOPICS.values() for word in topic), *NEUTRAL, *LABELS]
    corpus = ["text: " + " ".join(words) + "\nlabel:"] * 8
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=2000, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(corpus, trainer)
    bpe.post_processor = processors.TemplateProcessing(single=f"{END} $A", special_tokens=[(END, 0)])
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
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=0,
    )
    return GPTJForCausalLM(config)


def draw_batch(tokenizer: PreTrainedTokenizerFast, rng: random.Random, hardness: float) -> tuple[Tensor, Tensor]:
    """Draw one step's episodes; ``hardness`` 0 has nearly pure texts, 1 the task's own noise.

    Returns:
        Token ids and loss weights, each of shape ``(episodes, longest)``; padding and the first token weigh 0.
    """
    own = 0.9 + (OWN_TOPIC - 0.9) * hardness
    rival = RIVAL_TOPIC * hardness
    sequences, weights = [], []
    for _ in range(EPISODES_PER_STEP):
        episode = draw_episode(rng, fixed=rng.random() < FIXED_SHARE)
        ids, weight = [0], [0.0]
        for _ in range(TEXTS_PER_EPISODE):
            label = rng.randrange(2)
            words = draw_text(rng, episode, label, own, rival)
            text = tokenizer.encode(f"text: {words}\nlabel:", add_special_tokens=False)
            answer = tokenizer.encode(f" {episode.labels[label]}\n", add_special_tokens=False)
            ids += text + answer
            weight += [1.0] * len(text) + [LABEL_WEIGHT] * (len(answer) - 1) + [1.0]
        sequences.append(torch.tensor(ids))
        weights.append(torch.tensor(weight))
    pad = torch.nn.utils.rnn.pad_sequence
    return pad(sequences, batch_first=True), pad(weights, batch_first=True)


def learning_rates(steps: int) -> Iterator[float]:
    """Linear warm-up, then cosine decay to a twentieth of the peak."""
    for step in range(steps):
        warm = min(1.0, (step + 1) / WARMUP_STEPS)
        yield LEARNING_RATE * warm * (0.05 + 0.95 * (1 + math.cos(math.pi * step / steps)) / 2)


def train(steps: int, seed: int) -> tuple[GPTJForCausalLM, PreTrainedTokenizerFast]:
    """Train for ``steps`` steps; prints the loss every 50."""
    torch.manual_seed(seed)
    rng = random.Random(f"train {seed}")
    tokenizer = build_tokenizer()
    model = build_model(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.05)
    started = time.monotonic()
    for step, rate in enumerate(learning_rates(steps)):
        optimizer.param_groups[0]["lr"] = rate
        ids, weight = draw_batch(tokenizer, rng, min(1.0, step / EASY_STEPS))
        logits = model(ids, use_cache=False).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        loss = (losses * weight[:, 1:]).sum() / weight[:, 1:].sum()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 50 == 0 or step == steps - 1:
            labels = losses[weight[:, 1:] == LABEL_WEIGHT].mean()
            print(f"step {step} loss {loss:.3f} label {labels:.3f} {time.monotonic() - started:.0f} s", flush=True)
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
