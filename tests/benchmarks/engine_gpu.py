"""The engine on a GPU, at the shapes of GPT-J-6B and LLaMA2-7B with random weights: figures that a CPU cannot give.

Needs torch, transformers and safetensors alone. Where there is no GPU it says so and prints nothing.

    python -m tests.benchmarks.engine_gpu [--model gptj-6b] [--queries 1000]
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Sequence
from functools import partial

import torch
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig, PretrainedConfig, PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.models.find_layout import find_layout
from tests.benchmarks import published
from tests.benchmarks.document import Line, print_document, tell
from tests.benchmarks.sweeps import (
    MODULES,
    Bench,
    balance_labels,
    make_prompts,
    measure_exactness,
    measure_one_more,
    measure_speed,
    measure_sweep,
    timed,
)
from tests.benchmarks.theory_wide import measure_shares
from tests.trials.architectures import card_of

COMMON = {"bos_token_id": 0, "eos_token_id": 0}
CONFIGS: dict[str, PretrainedConfig] = {
    "gptj-6b": GPTJConfig(**COMMON),
    "llama2-7b": LlamaConfig(intermediate_size=11008, **COMMON),
}
DRIVERS = ("gesvdj", "gesvd", "gesvda")
MICROBATCH, SAMPLED = 32, 50
THEORY_ROWS = (100, 200, 1000)


def build_model(config: PretrainedConfig, dtype: torch.dtype, device: str) -> PreTrainedModel:
    """Random weights, drawn on the device."""
    torch.manual_seed(0)
    with torch.device(device):
        model: PreTrainedModel = AutoModelForCausalLM.from_config(copy.deepcopy(config), dtype=dtype)
    return model.eval().requires_grad_(False)


def make_bench(name: str, dtype: torch.dtype, device: str, queries: int) -> Bench:
    """A model with its prompts; the published side is timed on some of them, as each costs the same."""
    model = build_model(CONFIGS[name], dtype, device)
    return Bench(
        name=f"{name} {str(dtype).removeprefix('torch.')}",
        model=model,
        card=card_of(model),
        prompts=balance_labels(model, make_prompts(queries, model.config.vocab_size)),
        microbatch=MICROBATCH,
        repeats=1,
        sampled=SAMPLED,
        budget=Budget.measure(model.device),
    )


def measure_drivers(bench: Bench) -> Sequence[Line]:
    """Seconds of the SVD of one block's matrices by cuSOLVER's drivers; the whole model is as many blocks."""
    layout = find_layout(bench.model)
    weights = [
        matrix.read(bench.model.get_parameter(matrix.parameter)).float()
        for (layer, _), matrices in layout.matrices.items()
        if layer == 0
        for matrix in matrices
    ]
    lines: list[Line] = []
    factor_all(weights[:1], None)  # cuSOLVER's start
    for driver in DRIVERS if weights[0].is_cuda else (None,):
        try:
            spent = timed(partial(factor_all, weights, driver))
        except RuntimeError as error:  # torch.linalg.LinAlgError is one
            print(f"{bench.name}, SVD by {driver}: {error}", file=sys.stderr)
            continue
        lines.append(Line(name=f"{bench.name}, SVD of one block, {driver}", value=spent, unit="s"))
        whole = spent * bench.card.n_layers
        lines.append(Line(name=f"{bench.name}, SVD of the model, {driver}, from one block", value=whole, unit="s"))
    return tell(lines)


def factor_all(weights: Sequence[torch.Tensor], driver: str | None) -> None:
    """Thin SVD of each."""
    for weight in weights:
        torch.linalg.svd(weight, full_matrices=False, driver=driver)


def measure_model(name: str, device: str, queries: int) -> Sequence[Line]:
    """Every line of one model."""
    bench = make_bench(name, torch.float16, device, queries)
    last = bench.card.n_layers - 1
    published.evaluate(bench.model, make_prompts(2, bench.card.vocabulary_size))
    lines = [*measure_drivers(bench)]
    lines += measure_sweep(bench, "algorithm1", [(last - 1, "mlp")])
    lines += [*measure_one_more(bench, last - 1), *measure_one_more(bench, last)]
    lines += measure_speed(bench)
    lines += measure_exactness(bench)
    for rows in THEORY_ROWS:
        lines += tell([*measure_shares(bench.model, f"{bench.name}, theory", rows, bench.budget)])
    lines += measure_sweep(bench, "figure1", [(layer, part) for layer in (0, 1, last - 1, last) for part in MODULES])
    del bench
    lines += measure_exactness(make_bench(name, torch.bfloat16, device, queries))
    return lines


def measure() -> Sequence[Line]:
    """Every line of the models asked for."""
    return [line for name in OPTIONS.model for line in measure_model(name, OPTIONS.device, OPTIONS.queries)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="100 queries, the same lines")
    parser.add_argument("--device", default="cuda", help=argparse.SUPPRESS)
    OPTIONS = parser.parse_args()
    if OPTIONS.quick:
        OPTIONS.queries = 100
    if OPTIONS.device == "cuda" and not torch.cuda.is_available():
        sys.exit(print("no GPU here: nothing was measured", file=sys.stderr))
    print_document(measure)
