"""The engine against the published procedure, side by side: how many times faster, and where its own time goes.

Random weights, 28 layers of width 256, 300 demonstration tokens, 48 queries of 20 to 50 tokens. Both sides are timed in
turns, because a shared machine is not equally fast all the time; ratios are of medians.
"""

from __future__ import annotations

import argparse
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig, PreTrainedModel

from tests.benchmarks import published
from tests.benchmarks.document import Line, at_least, at_most, print_document
from tests.trials.architectures import card_of
from trials.activations import Budget
from trials.cost import measure_extents
from trials.engine import Engine, LabelScores
from trials.factors import FactorCache
from trials.matrices import find_layout
from trials.microbatches import plan_microbatches
from trials.model_card import ModelCard
from trials.prompts import Prompts, Query
from trials.values import Clip

RATES = (0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
LAYERS, MODULES = (0, 1, 26, 27), ("attn", "mlp")
N_LAYERS, WIDTH, VOCABULARY, PREFIX = 28, 256, 2048, 300
MICROBATCH = 8
ROOMY = Budget(device_bytes=10**9, host_bytes=0)
MEMORY_QUERIES, MEMORY_BUDGET = 5000, 256 * 10**6
TARGETS = {
    "gptj": {"algorithm1": 45.0, "26": 150.0, "27": 1000.0, "figure1": 14.5},
    "llama": {"algorithm1": 43.0, "figure1": 14.0},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A model with its prompts.

    Attributes:
        name: ``"gptj"`` or ``"llama"``.
        model: Random weights.
        card: Its shapes.
        prompts: What every trial reads.
        repeats: How often the engine's side of a line is timed.
        rates: Rates of the published side that are timed; the others cost the same.
    """

    name: str
    model: PreTrainedModel
    card: ModelCard
    prompts: Prompts
    repeats: int
    rates: tuple[float, ...]

    def published_seconds(self, layer: int, module: str) -> float:
        """Wall time of the published procedure over all rates of a module."""
        spent = published.seconds_of(self.model, find_layout(self.model), self.prompts, layer, module, self.rates)
        return spent * len(RATES) / len(self.rates)


def build_model(name: str) -> PreTrainedModel:
    """A model of random weights."""
    torch.manual_seed(0)
    common = {"bos_token_id": 0, "eos_token_id": 0}
    if name == "gptj":
        config = GPTJConfig(
            vocab_size=VOCABULARY, n_positions=512, n_embd=WIDTH, n_layer=N_LAYERS, n_head=4, rotary_dim=32, **common
        )
    else:
        config = LlamaConfig(
            vocab_size=VOCABULARY,
            max_position_embeddings=512,
            hidden_size=WIDTH,
            intermediate_size=4 * WIDTH,
            num_hidden_layers=N_LAYERS,
            num_attention_heads=4,
            **common,
        )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    return model


def make_prompts(n_queries: int) -> Prompts:
    """Random tokens: a prefix, and queries of 20 to 50 tokens with two labels of one token."""
    rng = random.Random(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(VOCABULARY) for _ in range(count))

    queries = tuple(Query(tokens=tokens(rng.randint(20, 50)), labels=((5,), (6,)), gold=0) for _ in range(n_queries))
    return Prompts(prefix=tokens(PREFIX), queries=queries)


def clip(layer: int, module: str, clip_rate: float) -> tuple[Clip, ...]:
    """One clip; none where nothing is dropped."""
    return (Clip(layer=layer, module=module, clip_rate=clip_rate),)


@contextmanager
def fresh_engine(bench: Bench, places: Sequence[tuple[int, str]]) -> Iterator[Engine]:
    """An engine that knows nothing yet, no factors either, but where trials will start."""
    with tempfile.TemporaryDirectory() as cache:
        engine = Engine(bench.model, bench.card, FactorCache(Path(cache)), ROOMY)
        engine.sweep([clip(layer, module, 0.5)[0] for layer, module in places])
        yield engine


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def sweep_seconds(bench: Bench, places: Sequence[tuple[int, str]]) -> float:
    """Wall time of the engine over all rates at some places, SVD and base pass included."""
    with fresh_engine(bench, places) as engine:
        return timed(
            lambda: [
                engine.score_all(bench.prompts, [clip(layer, module, rate) for rate in RATES], MICROBATCH)
                for layer, module in places
            ]
        )


def sweep_operations(bench: Bench, places: Sequence[tuple[int, str]], microbatch: int) -> int:
    """Operations of the same; at a microbatch of one nothing is padding, which is what the clips' downstream needs."""
    with fresh_engine(bench, places) as engine:
        extents = measure_extents(bench.prompts, microbatch)
        total = engine.cost.base(extents)
        for layer, module in places:
            for rate in RATES:
                total += engine.cost.trial(extents, *engine.starts_at(clip(layer, module, rate)))
        return total


def measure_sweep(bench: Bench, name: str, places: Sequence[tuple[int, str]]) -> list[Line]:
    """One line of the table: all rates at some places."""
    ours, theirs = [], []
    for round_number in range(bench.repeats):
        chosen = places[round_number % len(places) :: bench.repeats] if len(places) > 1 else places
        theirs += [bench.published_seconds(layer, module) for layer, module in chosen]
        ours.append(sweep_seconds(bench, places))
    published_seconds = statistics.median(theirs) * len(places)
    ratio = published_seconds / statistics.median(ours)
    needed, spent = (sweep_operations(bench, places, size) for size in (1, MICROBATCH))
    with fresh_engine(bench, places) as engine:
        counted = len(places) * len(RATES) * engine.cost.full_prompts(bench.prompts, 1) / spent
    label = f"{bench.name}, {name}"
    return [
        at_least(f"{label}: published ÷ ours", ratio, "", TARGETS[bench.name][name]),
        Line(name=f"{label}: ours", value=statistics.median(ours), unit="s"),
        Line(name=f"{label}: published", value=published_seconds, unit="s"),
        Line(name=f"{label}: ratio of counted operations", value=counted, unit=""),
        at_least(f"{label}: time ratio ÷ operations ratio", ratio / counted, "", 0.8),
        at_most(f"{label}: operations spent ÷ needed downstream", spent / needed, "", 1.1),
    ]


def measure_one_more(bench: Bench, layer: int) -> list[Line]:
    """One more trial, when its layer has been visited."""
    with fresh_engine(bench, [(layer, "mlp")]) as engine:
        engine.score_all(bench.prompts, [clip(layer, "mlp", rate) for rate in (0, 0.2)], MICROBATCH)
        ours, theirs = [], []
        for number in range(3 * bench.repeats):
            if number % 3 == 0:
                theirs.append(bench.published_seconds(layer, "mlp") / len(RATES))
            one = clip(layer, "mlp", 0.3 + 0.01 * number)
            ours.append(timed(partial(engine.score, bench.prompts, one, MICROBATCH)))
        spent, needed = (
            engine.cost.trial(measure_extents(bench.prompts, size), layer, "attention") for size in (MICROBATCH, 1)
        )
        counted = engine.cost.full_prompts(bench.prompts, 1) / spent
    ratio = statistics.median(theirs) / statistics.median(ours)
    label = f"{bench.name}, one more trial at layer {layer}, mlp"
    return [
        at_least(f"{label}: published ÷ ours", ratio, "", TARGETS["gptj"][str(layer)]),
        Line(name=f"{label}: ours", value=1000 * statistics.median(ours), unit="ms"),
        Line(name=f"{label}: ratio of counted operations", value=counted, unit=""),
        Line(name=f"{label}: time ratio ÷ operations ratio", value=ratio / counted, unit=""),
        at_most(f"{label}: operations spent ÷ needed downstream", spent / needed, "", 1.1),
    ]


def measure_rate(bench: Bench) -> list[Line]:
    """How close the engine comes to this machine's matrix products at the same shapes and threads."""
    with fresh_engine(bench, [(0, "mlp")]) as engine:
        engine.score_all(bench.prompts, [clip(0, "mlp", 0.2)], MICROBATCH)
        engine_rates, matrix_rates = [], []
        for number in range(bench.repeats):
            began = time.perf_counter()
            scored = engine.score(bench.prompts, clip(0, "mlp", 0.3 + 0.01 * number), MICROBATCH)
            engine_rates.append(scored.operations / (time.perf_counter() - began))
            matrix_rates.append(matrix_rate(bench))
    ours, machine = statistics.median(engine_rates), statistics.median(matrix_rates)
    return [
        Line(name=f"{bench.name}: matrix products of the same shapes", value=machine / 1e9, unit="GFLOP/s"),
        Line(name=f"{bench.name}: engine, a trial at layer 0", value=ours / 1e9, unit="GFLOP/s"),
        at_least(f"{bench.name}: engine's rate ÷ matrix products'", ours / machine, "", 0.5),
    ]


def matrix_rate(bench: Bench) -> float:
    """Operations per second of the bare products of one block over all microbatches."""
    shapes = [shape for (layer, _), held in bench.card.shapes.items() if layer == 0 for shape in held]
    heads, size = 4, WIDTH // 4
    operands = []
    for batch in plan_microbatches(bench.prompts, MICROBATCH):
        tokens, keys = len(batch.sequences) * batch.width, PREFIX + batch.width
        operands += [(torch.randn(tokens, shape.cols), torch.randn(shape.cols, shape.rows)) for shape in shapes]
        batched = len(batch.sequences) * heads
        operands.append((torch.randn(batched, batch.width, size), torch.randn(batched, size, keys)))
        operands.append((torch.randn(batched, batch.width, keys), torch.randn(batched, keys, size)))
    operations = sum(2 * left.numel() * right.shape[-1] for left, right in operands)
    for left, right in operands:
        left @ right
    spent = timed(lambda: [left @ right for left, right in operands for _ in range(4)])
    return 4 * operations / spent


def measure_exactness(bench: Bench) -> list[Line]:
    """How far scores are from reading each prompt alone with the same weights."""
    with fresh_engine(bench, [(26, "mlp")]) as engine:
        scored = engine.score(bench.prompts, (), MICROBATCH)
    expected = published.evaluate(bench.model, bench.prompts)
    ours = scored.log_likelihoods
    flips = int((ours.argmax(dim=1) != expected.argmax(dim=1)).sum())
    gap = (ours - ours.mean(dim=1, keepdim=True)) - (expected - expected.mean(dim=1, keepdim=True))
    return [
        at_most(f"{bench.name}: predictions that differ", flips, "", 0),
        at_most(f"{bench.name}: largest score difference", float(gap.abs().max() / expected.std()), "spread", 1e-5),
    ]


def measure_memory(n_queries: int) -> list[Line]:
    """Peak memory of many trials over many queries; each run is a process of its own."""
    lines = []
    for trials, queries, budget in [
        (1, n_queries // 10, 0),
        (1, n_queries, MEMORY_BUDGET),
        (8, n_queries, MEMORY_BUDGET),
    ]:
        arguments = ["--memory", str(trials), str(queries), str(budget)]
        command = [sys.executable, "-m", "tests.benchmarks.engine", *arguments]
        grown, seconds = map(
            float, subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
        )
        name = f"memory above the loaded model, {trials} trials, {queries} queries, budget {budget / 1e6:.0f} MB"
        limit = (budget + 256e6) / 1e6
        lines.append(at_most(name, grown / 1e6, "MB", limit))
        lines.append(Line(name=f"{name}: time", value=seconds, unit="s"))
    return lines


def run_for_memory(n_trials: int, n_queries: int, budget: int) -> None:
    """Evaluate and print by how many bytes the process has grown, and the seconds."""
    model = build_model("gptj")
    prompts = make_prompts(n_queries)
    with tempfile.TemporaryDirectory() as cache:
        room = Budget(device_bytes=budget, host_bytes=0)
        engine = Engine(model, card_of(model), FactorCache(Path(cache)), room)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        trials = [clip(26, "mlp", 0.3 + 0.01 * number) for number in range(n_trials)]
        seconds = timed(lambda: check(engine.score_all(prompts, trials, 32)))
    print(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before), seconds)


def check(results: Sequence[object]) -> None:
    """Fail where a trial did."""
    assert all(isinstance(result, LabelScores) for result in results), results


def measure() -> Sequence[Line]:
    """Every line."""
    torch.set_num_threads(2)
    lines: list[Line] = []
    for name in ("gptj", "llama"):
        model = build_model(name)
        bench = Bench(
            name=name,
            model=model,
            card=card_of(model),
            prompts=make_prompts(48),
            repeats=1 if OPTIONS.quick else 5,
            rates=RATES[2:3] if OPTIONS.quick else RATES[2:4],
        )
        published.evaluate(model, bench.prompts)  # warm
        lines += measure_exactness(bench)
        lines += measure_sweep(bench, "algorithm1", [(26, "mlp")])
        if name == "gptj":
            lines += [*measure_one_more(bench, 26), *measure_one_more(bench, 27)]
        lines += measure_sweep(bench, "figure1", [(layer, module) for layer in LAYERS for module in MODULES])
        lines += measure_rate(bench)
    return [*lines, *measure_memory(MEMORY_QUERIES // 10 if OPTIONS.quick else MEMORY_QUERIES)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer queries and repeats, the same lines")
    parser.add_argument("--memory", nargs=3, type=int, help=argparse.SUPPRESS)
    OPTIONS = parser.parse_args()
    if OPTIONS.memory:
        run_for_memory(*OPTIONS.memory)
    else:
        print_document(measure)
