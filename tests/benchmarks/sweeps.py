"""Measurements that the benchmarks of the engine have in common: the published procedure and ours, in turns."""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel

from tests.benchmarks import published
from tests.benchmarks.document import Line, at_least, at_most
from trials.activations import Budget
from trials.cost import measure_extents
from trials.engine import Engine
from trials.factors import FactorCache
from trials.matrices import find_layout
from trials.microbatches import plan_microbatches
from trials.model_card import ModelCard
from trials.prompts import Prompts, Query
from trials.values import ATTENTION, Clip

RATES = (0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
MODULES = ("attn", "mlp")
PREFIX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A model with its prompts.

    Attributes:
        name: For the lines.
        model: Random weights.
        card: Its shapes.
        prompts: What every trial reads.
        microbatch: Of the engine.
        repeats: How often the engine's side of a line is timed.
        rates: Rates of the published side that are timed; the others cost the same.
        sampled: Queries of the published side that are timed; the others cost the same.
        budget: Of captured activations.
        targets: What was asked for, by line.
    """

    name: str
    model: PreTrainedModel
    card: ModelCard
    prompts: Prompts
    microbatch: int
    repeats: int
    rates: tuple[float, ...]
    sampled: int
    budget: Budget
    targets: Mapping[str, float] = field(default_factory=dict)

    def ratio(self, line: str, value: float) -> Line:
        """Published ÷ ours, with its target if it has one."""
        name = f"{self.name}, {line}: published ÷ ours"
        if line in self.targets:
            return at_least(name, value, "", self.targets[line])
        return Line(name=name, value=value, unit="")

    def published_seconds(self, layer: int, module: str) -> float:
        """Wall time of the published procedure over all rates of a module."""
        sample = Prompts(prefix=self.prompts.prefix, queries=self.prompts.queries[: self.sampled])
        layout = find_layout(self.model)
        clipping, reading = published.seconds_of(self.model, layout, sample, layer, module, self.rates)
        scale = len(self.prompts.queries) / len(sample.queries)
        return (clipping + scale * reading) * len(RATES) / len(self.rates)


def make_prompts(n_queries: int, vocabulary: int) -> Prompts:
    """Random tokens: a prefix, and queries of 20 to 50 tokens with two labels of one token."""
    rng = random.Random(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(vocabulary) for _ in range(count))

    queries = tuple(Query(tokens=tokens(rng.randint(20, 50)), labels=((5,), (6,)), gold=0) for _ in range(n_queries))
    return Prompts(prefix=tokens(PREFIX), queries=queries)


def clip(layer: int, module: str, clip_rate: float) -> tuple[Clip, ...]:
    """One clip; none where nothing is dropped."""
    return (Clip(layer=layer, module=module, clip_rate=clip_rate),)


@contextmanager
def fresh_engine(bench: Bench, places: Sequence[tuple[int, str]]) -> Iterator[Engine]:
    """An engine that knows nothing yet, no factors either, but where trials will start."""
    with tempfile.TemporaryDirectory() as cache:
        engine = Engine(bench.model, bench.card, FactorCache(Path(cache)), bench.budget)
        engine.sweep([clip(layer, module, 0.5)[0] for layer, module in places])
        yield engine


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    published.wait()
    return time.perf_counter() - started


def sweep_seconds(bench: Bench, places: Sequence[tuple[int, str]]) -> float:
    """Wall time of the engine over all rates at some places, SVD and base pass included."""
    with fresh_engine(bench, places) as engine:
        return timed(
            lambda: [
                engine.score_all(bench.prompts, [clip(layer, module, rate) for rate in RATES], bench.microbatch)
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
    needed, spent = (sweep_operations(bench, places, size) for size in (1, bench.microbatch))
    with fresh_engine(bench, places) as engine:
        counted = len(places) * len(RATES) * engine.cost.full_prompts(bench.prompts, 1) / spent
    label = f"{bench.name}, {name}"
    return [
        bench.ratio(name, ratio),
        Line(name=f"{label}: ours", value=statistics.median(ours), unit="s"),
        Line(name=f"{label}: published", value=published_seconds, unit="s"),
        Line(name=f"{label}: ratio of counted operations", value=counted, unit=""),
        at_least(f"{label}: time ratio ÷ operations ratio", ratio / counted, "", 0.8),
        at_most(f"{label}: operations spent ÷ needed downstream", spent / needed, "", 1.1),
    ]


def measure_one_more(bench: Bench, layer: int) -> list[Line]:
    """One more trial, when its layer has been visited."""
    with fresh_engine(bench, [(layer, "mlp")]) as engine:
        engine.score_all(bench.prompts, [clip(layer, "mlp", rate) for rate in (0, 0.2)], bench.microbatch)
        ours, theirs = [], []
        for number in range(3 * bench.repeats):
            if number % 3 == 0:
                theirs.append(bench.published_seconds(layer, "mlp") / len(RATES))
            one = clip(layer, "mlp", 0.3 + 0.01 * number)
            ours.append(timed(partial(engine.score, bench.prompts, one, bench.microbatch)))
        spent, needed = (
            engine.cost.trial(measure_extents(bench.prompts, size), layer, ATTENTION) for size in (bench.microbatch, 1)
        )
        counted = engine.cost.full_prompts(bench.prompts, 1) / spent
    ratio = statistics.median(theirs) / statistics.median(ours)
    name = f"one more trial at layer {layer}, mlp"
    label = f"{bench.name}, {name}"
    return [
        bench.ratio(name, ratio),
        Line(name=f"{label}: ours", value=1000 * statistics.median(ours), unit="ms"),
        Line(name=f"{label}: ratio of counted operations", value=counted, unit=""),
        Line(name=f"{label}: time ratio ÷ operations ratio", value=ratio / counted, unit=""),
        at_most(f"{label}: operations spent ÷ needed downstream", spent / needed, "", 1.1),
    ]


def measure_rate(bench: Bench) -> list[Line]:
    """How close the engine comes to this machine's matrix products at the same shapes and threads."""
    with fresh_engine(bench, [(0, "mlp")]) as engine:
        engine.score_all(bench.prompts, [clip(0, "mlp", 0.2)], bench.microbatch)
        engine_rates, matrix_rates = [], []
        for number in range(bench.repeats):
            began = time.perf_counter()
            scored = engine.score(bench.prompts, clip(0, "mlp", 0.3 + 0.01 * number), bench.microbatch)
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
    config, model = bench.model.config.get_text_config(), bench.model
    heads, size = config.num_attention_heads, config.hidden_size // config.num_attention_heads

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, dtype=model.dtype, device=model.device)

    weights = [drawn(*shape[:2]).T for (layer, _), held in bench.card.shapes.items() if layer == 0 for shape in held]
    operands = []
    for batch in plan_microbatches(bench.prompts, bench.microbatch):
        tokens, keys = len(batch.sequences) * batch.width, PREFIX + batch.width
        operands += [(drawn(tokens, len(weight)), weight) for weight in weights]
        batched = len(batch.sequences) * heads
        operands.append((drawn(batched, batch.width, size), drawn(batched, size, keys)))
        operands.append((drawn(batched, batch.width, keys), drawn(batched, keys, size)))
    operations = sum(2 * left.numel() * right.shape[-1] for left, right in operands)
    timed(lambda: [left @ right for left, right in operands])
    spent = timed(lambda: [left @ right for left, right in operands for _ in range(4)])
    return 4 * operations / spent


def measure_exactness(bench: Bench) -> list[Line]:
    """How far scores are from reading each prompt alone with the same weights."""
    with fresh_engine(bench, [(26, "mlp")]) as engine:
        scored = engine.score(bench.prompts, (), bench.microbatch)
    expected = published.evaluate(bench.model, bench.prompts)
    ours = scored.log_likelihoods
    flips = int((ours.argmax(dim=1) != expected.argmax(dim=1)).sum())
    gap = (ours - ours.mean(dim=1, keepdim=True)) - (expected - expected.mean(dim=1, keepdim=True))
    return [
        at_most(f"{bench.name}: predictions that differ", flips, "", 0),
        at_most(f"{bench.name}: largest score difference", float(gap.abs().max() / expected.std()), "spread", 1e-5),
    ]
