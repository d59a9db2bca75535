"""The engine against the published procedure, side by side: how many times faster, and where its own time goes.

Random weights, 28 layers of width 256, 300 demonstration tokens, 48 queries of 20 to 50 tokens. Both sides are timed in
turns, because a shared machine is not equally fast all the time; ratios are of medians.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig, PreTrainedModel

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.base.memory import keep_freed_memory
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.engine.engine import Engine
from clipsweep.trials.engine.label_scores import LabelScores
from tests.benchmarks import published
from tests.benchmarks.document import Line, at_most, print_document, tell
from tests.benchmarks.sweeps import (
    MODULES,
    Bench,
    balance_labels,
    clip,
    make_prompts,
    measure_exactness,
    measure_one_more,
    measure_speed,
    measure_sweep,
    timed,
)
from tests.trials.architectures import card_of

LAYERS = (0, 1, 26, 27)
N_LAYERS, WIDTH, VOCABULARY = 28, 256, 2048
MICROBATCH = 12
ROOMY = Budget(device_bytes=10**9, host_bytes=0)
MEMORY_QUERIES, MEMORY_BUDGET, MEMORY_BESIDES = 5000, 256 * 10**6, 256 * 10**6
TARGETS = {
    "gptj": {
        "algorithm1": 45.0,
        "one more trial at layer 26, mlp": 150.0,
        "one more trial at layer 27, mlp": 1000.0,
        "figure1": 14.5,
    },
    "llama": {"algorithm1": 43.0, "figure1": 14.0},
}


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


def measure_memory(n_queries: int, budget: int) -> Sequence[Line]:
    """Peak memory of many trials over many queries; each run is a process of its own."""
    lines = []
    for trials, queries, allowed in [(1, n_queries // 10, 0), (1, n_queries, budget), (8, n_queries, budget)]:
        arguments = ["--memory", str(trials), str(queries), str(allowed)]
        command = [sys.executable, "-m", "tests.benchmarks.engine", *arguments]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        grown, seconds = map(float, printed.split())
        name = f"memory above the loaded model, {trials} trials, {queries} queries, budget {allowed / 1e6:.0f} MB"
        lines.append(at_most(name, grown / 1e6, "MB", (allowed + MEMORY_BESIDES) / 1e6))
        lines.append(Line(name=f"{name}: time", value=seconds, unit="s"))
    return tell(lines)


def resident_bytes(field: str) -> int:
    """``VmRSS`` (now) or ``VmHWM`` (peak) of this process."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return 1024 * int(status[field].split()[0])


def run_for_memory(n_trials: int, n_queries: int, budget: int) -> None:
    """Evaluate and print by how many bytes the process grew at its peak, and the seconds."""
    keep_freed_memory()
    model = build_model("gptj")
    prompts = make_prompts(n_queries, VOCABULARY)
    with tempfile.TemporaryDirectory() as cache:
        room = Budget(device_bytes=budget, host_bytes=0)
        engine = Engine(model, card_of(model), FactorCache(Path(cache)), room)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the peak so far
        before = resident_bytes("VmRSS")
        trials = [clip(engine.card, 26, "mlp", 0.3 + 0.01 * number) for number in range(n_trials)]
        seconds = timed(lambda: check(engine.score_all(prompts, trials, 32)))
    print(resident_bytes("VmHWM") - before, seconds)


def check(results: Sequence[object]) -> None:
    """Fail where a trial did."""
    assert all(isinstance(result, LabelScores) for result in results), results


def measure() -> Sequence[Line]:
    """Every line."""
    torch.set_num_threads(2)
    keep_freed_memory()  # as replicas do; both sides have it
    lines: list[Line] = []
    for name in ("gptj", "llama"):
        model = build_model(name)
        bench = Bench(
            name=name,
            model=model,
            card=card_of(model),
            prompts=balance_labels(model, make_prompts(48, VOCABULARY)),
            microbatch=MICROBATCH,
            repeats=1 if OPTIONS.quick else 3,
            sampled=8 if OPTIONS.quick else 48,
            budget=ROOMY,
            targets=TARGETS[name],
        )
        published.evaluate(model, bench.prompts)  # warm
        lines += measure_exactness(bench)
        lines += measure_sweep(bench, "algorithm1", [(26, "mlp")])
        if name == "gptj":
            lines += [*measure_one_more(bench, 26), *measure_one_more(bench, 27)]
        lines += measure_sweep(bench, "figure1", [(layer, module) for layer in LAYERS for module in MODULES])
        lines += measure_speed(bench)
    scale = 10 if OPTIONS.quick else 1
    return [*lines, *measure_memory(MEMORY_QUERIES // scale, MEMORY_BUDGET // scale)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer queries and repeats, the same lines")
    parser.add_argument("--memory", nargs=3, type=int, help=argparse.SUPPRESS)
    OPTIONS = parser.parse_args()
    if OPTIONS.memory:
        run_for_memory(*OPTIONS.memory)
    else:
        print_document(measure)
