"""Answers of many tokens and texts: what a trial of them costs, against the harness's way and against what is needed.

Random weights, 28 layers of width 256. A task of four choices of 40 tokens each, after ten demonstrations of 300 tokens
and a query of 300. The published way reads each choice with its whole prompt through an edited model, one at a time and
with the logits of every position, as lm-evaluation-harness does where no batch size is given. Times are per query, of
one run.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPTJConfig, PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.memory import keep_freed_memory
from clipsweep.trials.clips.edit import edit_weights, swapped
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve, starts_of
from clipsweep.trials.engine.cost import CostModel, measure_extents
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.start import Start
from tests.benchmarks.document import Line, at_least, at_most, print_document, tell
from tests.benchmarks.sweeps import timed
from tests.trials.architectures import card_of

N_LAYERS, WIDTH, VOCABULARY = 28, 256, 2048
SHOTS, LENGTH, CHOICES, CHOICE = 10, 300, 4, 40
MICROBATCH, LAST = 8, N_LAYERS - 1
WINDOW, DOCUMENTS = 1024, 200
ROOMY = Budget(device_bytes=2 * 10**9, host_bytes=0)
FASTER, OVERHEAD, AGREEMENT = 50.0, 1.1, 1e-4


def build_model() -> PreTrainedModel:
    """GPT-J of random weights."""
    torch.manual_seed(0)
    config = GPTJConfig(
        vocab_size=VOCABULARY,
        n_positions=4096,
        n_embd=WIDTH,
        n_layer=N_LAYERS,
        n_head=4,
        rotary_dim=32,
        bos_token_id=0,
        eos_token_id=0,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    return model


def draw_tokens(draw: random.Random, count: int) -> Tokens:
    """Random tokens."""
    return tuple(draw.randrange(1, VOCABULARY) for _ in range(count))


def draw_choices(count: int) -> Prompts:
    """Queries with choices of many tokens, after the same demonstrations."""
    draw = random.Random(0)
    queries = tuple(
        Query(
            tokens=draw_tokens(draw, LENGTH),
            labels=tuple(draw_tokens(draw, CHOICE) for _ in range(CHOICES)),
            gold=0,
            lengths=tuple(float(CHOICE) for _ in range(CHOICES)),
        )
        for _ in range(count)
    )
    return Prompts(prefix=draw_tokens(draw, SHOTS * LENGTH), queries=queries, scoring=Scoring.LENGTH_NORMALISED)


def draw_windows() -> Prompts:
    """Documents of all lengths in windows, the last of each as long as what remains."""
    draw, queries = random.Random(0), []
    for _ in range(DOCUMENTS):
        rest = draw.randrange(100, 6 * WINDOW)
        while rest > 0:
            length = min(rest, WINDOW)
            queries.append(Query(tokens=(0,), labels=((1,) * length,), gold=0))
            rest -= length
    return Prompts(prefix=(), queries=tuple(queries), scoring=Scoring.TEXT)


def score_as_published(model: PreTrainedModel, prompts: Prompts, query: Query) -> Tensor:
    """Mean log-likelihood of each choice, by a pass over its whole prompt."""
    scores = []
    for label in query.labels:
        text = (*prompts.prefix, *query.tokens, *label)
        with torch.inference_mode():
            logprobs = model(torch.tensor([text[:-1]])).logits.log_softmax(dim=-1)
        scores.append(logprobs[0, -len(label) :].gather(1, torch.tensor(label)[:, None]).mean())
    return torch.stack(scores)


def measure_choices(module: str, target: float | None) -> Sequence[Line]:
    """One more trial at the last layer, both ways, on the same clip."""
    n_queries, sampled = (4, 1) if OPTIONS.quick else (16, 3)
    model, prompts = build_model(), draw_choices(n_queries)
    with tempfile.TemporaryDirectory() as cache:
        engine = Engine(model, card_of(model), FactorCache(Path(cache)), ROOMY)
        clips = [(Clip(layer=LAST, module=module, clip_rate=rate),) for rate in (0.5, 0.8)]
        first, more = (resolve(each, engine.card) for each in clips)
        engine.announce(starts_of(clips[0], engine.card))
        engine.score(prompts, first, MICROBATCH)  # captures, and takes the SVD that later rates share
        ours = timed(lambda: engine.score(prompts, more, MICROBATCH)) / n_queries
        scored = engine.score(prompts, more, MICROBATCH).log_likelihoods
        theirs, off = [], 0.0
        with swapped(model, edit_weights(model, engine.layout, more, engine.factors)):
            for number in range(sampled):
                began = time.perf_counter()
                expected = score_as_published(model, prompts, prompts.queries[number])
                theirs.append(time.perf_counter() - began)
                off = max(off, float((expected - scored[number]).abs().max()))
    ratio = sorted(theirs)[len(theirs) // 2] / ours
    name = f"one more trial at the last layer, {module}, {CHOICES} choices of {CHOICE} tokens: published way ÷ ours"
    line = Line(name=name, value=ratio, unit="") if target is None else at_least(name, ratio, "", target)
    return tell([line, at_most(f"largest difference of its scores, {module}", off, "nats per token", AGREEMENT)])


def measure_tokens() -> Sequence[Line]:
    """How many tokens the choices of a query take, each with a copy of it and all after one."""
    alone, shared = (measure_extents(draw_choices(1), 1, branches=branches)[1] for branches in (False, True))
    ratio = alone.sequences * alone.tokens / (shared.sequences * shared.tokens)
    return tell([Line(name="tokens of a query with its choices: one copy each ÷ one for all", value=ratio, unit="")])


def measure_texts() -> Sequence[Line]:
    """Operations on windows of text as they run together, against each alone."""
    cost, prompts = CostModel(card_of(build_model())), draw_windows()
    together = measure_extents(prompts, MICROBATCH, branches=True)
    alone = [measure_extents(replace(prompts, queries=(query,)), 1) for query in prompts.queries]
    ratios = []
    for start in (Start(block=0), Start(block=LAST), Start(block=LAST, reuse="attn"), Start(block=LAST, reuse="mlp")):
        needed = sum(cost.trial(each, start) for each in alone)
        ratios.append(cost.trial(together, start) / needed)
    return tell([at_most("perplexity: operations ÷ needed, the worst of four starts", max(ratios), "", OVERHEAD)])


def measure() -> Sequence[Line]:
    """Every line."""
    torch.set_num_threads(2)
    keep_freed_memory()  # as replicas do; both sides have it
    return [*measure_texts(), *measure_tokens(), *measure_choices("mlp", FASTER), *measure_choices("attn", FASTER)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer queries, the same lines")
    OPTIONS = parser.parse_args()
    print_document(measure)
