"""What measuring the paper's theory costs on a wide model with few rows, with Gram matrices and without; its digits.

Random weights, 300 demonstration tokens, queries of 20 to 50 tokens. What is measured depends on the demonstrations
alone, so the way without Gram matrices is timed over one query, right after each trial, and set beside the same
scoring. Of three blocks that a clip of an attention changes, its own is measured without in either way.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, GPTJConfig, PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.memory import keep_freed_memory
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.theory.attention import BlockAttention, Projections, find_attentions, read_projections
from clipsweep.trials.theory.gradients import MOST_PROBES
from clipsweep.trials.theory.grams import Gram, log_norm_by_grams
from clipsweep.trials.theory.softmax import log_norm_of_softmax, output_products
from clipsweep.trials.theory.updates import form_update
from tests.benchmarks.document import Line, at_most, print_document, tell
from tests.benchmarks.sweeps import PREFIX, make_prompts
from tests.trials.architectures import card_of

N_LAYERS, VOCABULARY, MICROBATCH = 4, 2048, 16
HEAD_SIZE = 128
MOST = 10.0  # percent of the trials' seconds
DIGITS = 1e-6  # of the natural log of a norm, and of its change
LAYER, MODULES = 1, ("attn", "mlp")
BUDGET = Budget(device_bytes=4 * 10**9, host_bytes=0, trials_bytes=2 * 10**9)


def build_model(width: int) -> PreTrainedModel:
    """A GPT-J of random weights."""
    torch.manual_seed(0)
    config = GPTJConfig(
        vocab_size=VOCABULARY,
        n_positions=512,
        n_embd=width,
        n_layer=N_LAYERS,
        n_head=width // HEAD_SIZE,
        rotary_dim=64,
        bos_token_id=0,
        eos_token_id=0,
    )
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval().requires_grad_(False)
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Seconds of one trial.

    Attributes:
        scoring: All but measuring.
        held: Of measuring with Gram matrices.
        whole: Of measuring without.
    """

    scoring: float
    held: float
    whole: float


def take(ways: Sequence[tuple[Engine, Prompts]], clips: Sequence[Clip]) -> Taken:
    """One trial with Gram matrices, then the same over one query without."""
    spent = []
    for engine, some in ways:
        scored = engine.score(some, resolve(clips, engine.card), MICROBATCH)
        assert scored.implicit is not None
        spent.append((scored.seconds, scored.implicit.seconds))
    (seconds, measuring), (_, other) = spent
    return Taken(scoring=seconds - measuring, held=measuring, whole=other)


def measure_shares(model: PreTrainedModel, name: str, rows: int, budget: Budget) -> Iterator[Line]:
    """Of clipped trials, and with those of the untouched model's, which forms the Gram matrices."""
    prompts = replace(make_prompts(rows, model.config.vocab_size), demonstrations=10)
    with tempfile.TemporaryDirectory() as cache:
        held, whole = (
            Engine(model, card_of(model), FactorCache(Path(cache)), each, theory=True)
            for each in (budget, replace(budget, trials_bytes=1))
        )
        ways = ((held, prompts), (whole, replace(prompts, queries=prompts.queries[:1])))
        untouched = take(ways, ())
        clipped = [
            take(ways, [Clip(layer=LAYER, module=module, clip_rate=0.5, kind="magnitude")]) for module in MODULES
        ]
    where = f"{name}, {rows} rows"
    for of, trials in (("clipped trials", clipped), ("with the untouched model's", [untouched, *clipped])):
        scoring, by_held, by_whole = (sum(getattr(each, part) for each in trials) for part in Taken.__slots__)
        share = 100 * by_held / (scoring + by_held)
        yield at_most(f"{where}: measuring, of the seconds, {of}", share, "%", MOST)
        share = 100 * by_whole / (scoring + by_whole)
        yield Line(name=f"{where}: without Gram matrices, {of}", value=share, unit="%")
    yield Line(name=f"{where}: scoring of the clipped trials", value=sum(each.scoring for each in clipped), unit="s")


def draw_block(model: PreTrainedModel, width: int) -> tuple[Tensor, Projections, BlockAttention]:
    """Demonstrations, and the matrices of the model's first block."""
    (attention, *_) = find_attentions(model, find_layout(model))
    assert attention is not None
    read = torch.randn(PREFIX, width, generator=torch.Generator().manual_seed(1))
    return read, read_projections(dict(model.named_parameters()), attention), attention


def measure_parts(model: PreTrainedModel, width: int, repeats: int) -> Iterator[Line]:
    """Processor time of each piece of measuring one block, taken in turns."""
    read, projections, attention = draw_block(model, width)
    update = form_update(read, projections, attention.scale)
    outer, queries = _grams_of(projections)
    columns, heads = torch.randn(width, MOST_PROBES), projections.heads
    keys = torch.randn(heads, PREFIX, HEAD_SIZE)
    pieces: dict[str, Callable[[], object]] = {
        "keys and values": partial(form_update, read, projections, attention.scale),
        "norm of the whole product": update.log_norm,
        "norm by Gram matrices": partial(log_norm_by_grams, update.core, outer, queries),
        "forming Gram matrices, once": partial(_grams_of, projections),
        "probes": partial(update.times, columns),
        "products of outputs": partial(output_products, projections.o, heads, HEAD_SIZE),
        "the same from a Gram matrix": partial(outer.of_groups, heads),
        "softmax": partial(log_norm_of_softmax, keys, keys, outer.of_groups(heads), attention.scale),
    }
    spent: dict[str, list[float]] = {name: [] for name in pieces}
    for _ in range(repeats):
        for name, work in pieces.items():
            began = time.process_time()
            work()
            spent[name].append(time.process_time() - began)
    for name, seconds in spent.items():
        yield Line(name=f"width {width:,}, a block: {name}", value=1000 * median(seconds), unit="ms")


def _grams_of(projections: Projections) -> tuple[Gram, Gram]:
    return Gram.form(projections.o, projections.heads), Gram.form(projections.q.T, projections.heads)


def measure_digits(model: PreTrainedModel, width: int) -> Iterator[Line]:
    """How far logs, and their changes where keys and values lose most of their rank, are from those in float64."""
    read, projections, attention = draw_block(model, width)
    grams = _grams_of(projections)
    logs = []
    for key_share, value_share in ((1.0, 1.0), (0.1, 1.0), (1.0, 0.02), (0.02, 0.02)):
        cut = replace(projections, k=_cut(projections.k, key_share), v=_cut(projections.v, value_share))
        update = form_update(read, cut, attention.scale)
        exact = exact_log_norm(read, cut, attention.scale)
        logs.append([exact, float(update.log_norm()), float(log_norm_by_grams(update.core, *grams)[0])])
    found = torch.tensor(logs, dtype=torch.float64)
    changes = found[1:] - found[0]
    for place, name in ((1, "of the whole product"), (2, "by Gram matrices")):
        for what, some in (("log norm", found), ("its change", changes)):
            off = float((some[:, place] - some[:, 0]).abs().max())
            yield at_most(f"width {width:,}: {what} {name}, from float64", off, "", DIGITS)


def exact_log_norm(read: Tensor, projections: Projections, scale: float) -> float:
    """The log of the norm of an update in float64, of as many heads of keys as of queries."""
    read = read.double()
    keys, values, queries = (
        matrix.double().view(projections.heads, -1, read.shape[1])
        for matrix in (projections.k, projections.v, projections.q)
    )
    core = (read @ values.mT).mT @ (read @ keys.mT) * (scale / len(read))
    return float((projections.o.double() @ (core @ queries).flatten(0, 1)).norm().log())


def _cut(matrix: Tensor, share: float) -> Tensor:
    """Of a matrix that part which some random directions of its input make."""
    if share == 1:
        return matrix
    drawn = torch.randn(matrix.shape[1], round(share * matrix.shape[1]), generator=torch.Generator().manual_seed(2))
    directions: Tensor = torch.linalg.qr(drawn).Q
    return matrix @ directions @ directions.T


def lines(widths: Sequence[int], rows: Sequence[int], repeats: int) -> Iterator[Line]:
    """Digits and pieces at each width, shares at the last."""
    for width in widths:
        model = build_model(width)
        yield from measure_digits(model, width)
        yield from measure_parts(model, width, repeats)
    for some in rows:
        yield from measure_shares(model, f"width {width:,}", some, BUDGET)


@torch.inference_mode()
def measure() -> Sequence[Line]:
    """Every line."""
    keep_freed_memory()
    if "--quick" in sys.argv:
        return [line for each in lines((1024,), (50,), 3) for line in tell([each])]
    return [line for each in lines((1024, 2048), (50, 100), 5) for line in tell([each])]


if __name__ == "__main__":
    print_document(measure)
