"""Measurements that the benchmarks of the engine have in common: the published procedure and ours, in turns."""

from __future__ import annotations

import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.clips.edit import edit_weights, swapped
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.clips.svd import kept_rank
from clipsweep.trials.engine.cost import CostModel, measure_extents
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.microbatches import plan_microbatches
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.prompts.prompts import Prompts, Query
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import ATTENTION
from clipsweep.trials.spec.resolved import Edit, ResolvedClips
from clipsweep.trials.spec.start import Start
from tests.benchmarks import published
from tests.benchmarks.document import Line, at_least, at_most, tell
from tests.trials.reference import centred

CLIP_RATES = (0, 0.1, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995)
MODULES = ("attn", "mlp")
PREFIX = 300
T = TypeVar("T")


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
        sampled: Queries of the published side that are timed, once for each module; the others cost the same.
        budget: Of captured activations.
        targets: What was asked for, by line.
    """

    name: str
    model: PreTrainedModel
    card: ModelCard
    prompts: Prompts
    microbatch: int
    repeats: int
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
        clipping, reading = published.seconds_of(self.model, layout, sample, layer, module, CLIP_RATES)
        return clipping + reading * len(CLIP_RATES) * len(self.prompts.queries) / len(sample.queries)

    def published_operations(self) -> int:
        """Operations of one trial of the published procedure, its SVD left out."""
        config = self.model.config.get_text_config()
        tokens = sum(len(self.prompts.prefix) + len(query.tokens) for query in self.prompts.queries)
        head: int = 2 * tokens * config.hidden_size * config.vocab_size
        return CostModel(self.card).full_prompts(self.prompts, 1) + head


def make_prompts(n_queries: int, vocabulary: int) -> Prompts:
    """Random tokens: a prefix, and queries of 20 to 50 tokens with two labels of one token."""
    rng = random.Random(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(rng.randrange(vocabulary) for _ in range(count))

    queries = tuple(Query(tokens=tokens(rng.randint(20, 50)), labels=((5,), (6,)), gold=0) for _ in range(n_queries))
    return Prompts(prefix=tokens(PREFIX), queries=queries)


def balance_labels(model: PreTrainedModel, prompts: Prompts) -> Prompts:
    """The same prompts with two labels that the model, whose weights are random, prefers about equally often."""
    whole = [torch.tensor([[*prompts.prefix, *query.tokens]], device=model.device) for query in prompts.queries[:24]]
    with torch.no_grad():
        read = torch.stack([model(ids).logits[0, -1] for ids in whole]).float().cpu()
    rng = random.Random(0)
    pairs = [tuple(rng.sample(range(read.shape[1]), 2)) for _ in range(500)]
    first, second = min(pairs, key=lambda pair: abs(float((read[:, pair[0]] > read[:, pair[1]]).float().mean()) - 0.5))
    queries = tuple(replace(query, labels=((first,), (second,))) for query in prompts.queries)
    return Prompts(prefix=prompts.prefix, queries=queries)


def clip(card: ModelCard, layer: int, module: str, clip_rate: float) -> ResolvedClips:
    """One clip, resolved."""
    return resolve([Clip(layer=layer, module=module, clip_rate=clip_rate)], card)


@contextmanager
def fresh_engine(bench: Bench, places: Sequence[tuple[int, str]]) -> Iterator[Engine]:
    """An engine that knows nothing yet, no factors either, but where trials will start."""
    with tempfile.TemporaryDirectory() as cache:
        engine = Engine(bench.model, bench.card, FactorCache(Path(cache)), bench.budget)
        engine.announce([clip(bench.card, layer, module, 0.5).start for layer, module in places])
        yield engine


def timed(work: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    work()
    published.wait()
    return time.perf_counter() - started


def sweep(bench: Bench, places: Sequence[tuple[int, str]], measure: Callable[[Callable[[], object]], T]) -> T:
    """Measure the engine over all rates at some places: SVD and base pass, but not its building."""
    with fresh_engine(bench, places) as engine:
        return measure(
            lambda: [
                engine.score_all(
                    bench.prompts,
                    [clip(bench.card, layer, module, rate) for rate in CLIP_RATES],
                    bench.microbatch,
                )
                for layer, module in places
            ]
        )


def needed_operations(bench: Bench, places: Sequence[tuple[int, str]]) -> int:
    """Operations that the clips' downstream needs: nothing is padding at a microbatch of one."""
    with fresh_engine(bench, places) as engine:
        extents = measure_extents(bench.prompts, 1)
        total = engine.cost.base(extents)
        for layer, module in places:
            for rate in CLIP_RATES:
                clips = clip(bench.card, layer, module, rate)
                total += engine.cost.trial(extents, engine.start_of(clips)) + forming_operations(clips)
        return total


def forming_operations(clips: ResolvedClips) -> int:
    """Operations of the products that form clipped weights."""
    return sum(2 * rank_of(edit) * math.prod(edit.shape) for edit in clips.edits)


def rank_of(edit: Edit) -> int:
    """Singular values that an edit leaves."""
    return kept_rank(edit.clip.clip_rate, edit.shape.rows, edit.shape.cols)


def count_operations(bench: Bench, work: Callable[[], object]) -> int:
    """Operations as torch counts them; its counter does not know fused attention on a CPU, so that runs unfused."""
    before = bench.model.config._attn_implementation
    bench.model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter:
        work()
    bench.model.set_attn_implementation(before)
    return int(counter.get_total_flops())


def measure_sweep(bench: Bench, name: str, places: Sequence[tuple[int, str]]) -> Sequence[Line]:
    """One line of the table: all rates at some places."""
    sweep(bench, places[-1:], timed)  # warm
    ours: list[float] = []
    theirs: dict[tuple[int, str], list[float]] = {}
    for number in range(bench.repeats):
        for place in places[number :: bench.repeats] if len(places) >= bench.repeats else places:
            theirs.setdefault(place, []).append(bench.published_seconds(*place))
        ours.append(sweep(bench, places, timed))
    published_seconds = sum(map(statistics.median, theirs.values())) * len(places) / len(theirs)
    typical = statistics.median(ours)
    ratio = published_seconds / typical
    needed = needed_operations(bench, places)
    spent = sweep(bench, places, partial(count_operations, bench))
    counted = len(places) * len(CLIP_RATES) * bench.published_operations() / spent
    label = f"{bench.name}, {name}"
    return tell(
        [
            bench.ratio(name, ratio),
            Line(name=f"{label}: ours, median", value=typical, unit="s"),
            Line(name=f"{label}: ours, spread of {len(ours)}", value=(max(ours) - min(ours)) / typical, unit=""),
            Line(name=f"{label}: published", value=published_seconds, unit="s"),
            Line(name=f"{label}: ratio of counted operations", value=counted, unit=""),
            at_least(f"{label}: time ratio ÷ operations ratio", ratio / counted, "", 0.8),
            at_most(f"{label}: operations counted by torch ÷ needed downstream", spent / needed, "", 1.1),
        ]
    )


def measure_one_more(bench: Bench, layer: int) -> Sequence[Line]:
    """One more trial, when its layer has been visited."""
    with fresh_engine(bench, [(layer, "mlp")]) as engine:
        engine.score_all(bench.prompts, [clip(bench.card, layer, "mlp", rate) for rate in (0, 0.2)], bench.microbatch)
        ours, theirs = [], []
        for number in range(3 * bench.repeats):
            if number % 3 == 0:
                theirs.append(bench.published_seconds(layer, "mlp") / len(CLIP_RATES))
            one = clip(bench.card, layer, "mlp", 0.3 + 0.01 * number)
            ours.append(timed(partial(engine.score, bench.prompts, one, bench.microbatch)))
        clips = clip(bench.card, layer, "mlp", 0.3)
        needed = engine.cost.trial(measure_extents(bench.prompts, 1), Start(block=layer, reuse=ATTENTION))
        needed += forming_operations(clips)
        spent = count_operations(bench, partial(engine.score, bench.prompts, clips, bench.microbatch))
    counted = bench.published_operations() / spent
    ratio = statistics.median(theirs) / statistics.median(ours)
    name = f"one more trial at layer {layer}, mlp"
    label = f"{bench.name}, {name}"
    return tell(
        [
            bench.ratio(name, ratio),
            Line(name=f"{label}: ours, median", value=1000 * statistics.median(ours), unit="ms"),
            Line(name=f"{label}: ratio of counted operations", value=counted, unit=""),
            at_least(f"{label}: time ratio ÷ operations ratio", ratio / counted, "", 0.8),
            at_most(f"{label}: operations counted by torch ÷ needed downstream", spent / needed, "", 1.1),
        ]
    )


def measure_speed(bench: Bench) -> Sequence[Line]:
    """How close the engine comes to this machine's matrix products at the same shapes and threads."""
    with fresh_engine(bench, [(0, "mlp")]) as engine:
        engine.score_all(bench.prompts, [clip(bench.card, 0, "mlp", 0.2)], bench.microbatch)
        engine_speeds, matrix_speeds = [], []
        for number in range(bench.repeats):
            began = time.perf_counter()
            scored = engine.score(bench.prompts, clip(bench.card, 0, "mlp", 0.3 + 0.01 * number), bench.microbatch)
            engine_speeds.append(scored.operations / (time.perf_counter() - began))
            matrix_speeds.append(matrix_speed(bench))
    ours, machine = statistics.median(engine_speeds), statistics.median(matrix_speeds)
    return tell(
        [
            Line(name=f"{bench.name}: matrix products of the same shapes", value=machine / 1e9, unit="GFLOP/s"),
            Line(name=f"{bench.name}: engine, a trial at layer 0", value=ours / 1e9, unit="GFLOP/s"),
            at_least(f"{bench.name}: engine's speed ÷ matrix products'", ours / machine, "", 0.5),
        ]
    )


def matrix_speed(bench: Bench) -> float:
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

    def multiply() -> None:
        for left, right in operands:
            left @ right  # the result is dropped at once, as a pass would

    timed(multiply)
    return operations / min(timed(multiply) for _ in range(3))


def measure_exactness(bench: Bench) -> Sequence[Line]:
    """How far scores are from reading each prompt alone with the same weights, untouched and clipped."""
    flips, gaps = 0, []
    few = torch.tensor([[*bench.prompts.prefix, *bench.prompts.queries[0].tokens]], device=bench.model.device)
    spread = float(bench.model(few).logits[0, -1].float().std())  # of logits over the vocabulary
    layer = bench.card.n_layers - 2
    with fresh_engine(bench, [(layer, "mlp")]) as engine:
        for clips in (resolve((), bench.card), clip(bench.card, layer, "mlp", 0.5)):
            ours = engine.score(bench.prompts, clips, bench.microbatch).log_likelihoods
            with swapped(bench.model, edit_weights(bench.model, engine.layout, clips, engine.factors)):
                expected = published.evaluate(bench.model, bench.prompts).float().cpu()
            flips += int((ours.argmax(dim=1) != expected.argmax(dim=1)).sum())
            gaps.append(float((centred(ours) - centred(expected)).abs().max()) / spread)
    count = 2 * len(bench.prompts.queries)
    if bench.model.dtype == torch.float32:
        lines = [at_most(f"{bench.name}: predictions that differ, of {count}", flips, "", 0)]
        lines.append(at_most(f"{bench.name}: largest score difference", max(gaps), "spread", 1e-5))
    else:
        lines = [Line(name=f"{bench.name}: predictions that differ, of {count}", value=flips, unit="")]
    return tell(lines)
