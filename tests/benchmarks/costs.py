"""What the shipped studies cost on common GPUs, as ``--dry-run`` counts it: the tables of ``docs/costs.md``.

    python -m tests.benchmarks.costs          # writes results/costs.json and the tables of the page; some minutes

Needs the rows and the tokenizer of the shared folder. Checkpoints are stand-ins: the config of the model, a tokenizer
with a small vocabulary, and a file of weights with the right tensors and no content, which a plan does not look at.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig, PretrainedConfig

import clipsweep
from clipsweep.orchestrator.plan.speed import ENGINE_SHARE, GPU_TERAFLOPS

RESULTS = Path(__file__).parent / "results" / "costs.json"
PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
SHARED = Path(os.environ.get("CLIPSWEEP_SHARED", "../shared"))
CONFIGS: dict[str, PretrainedConfig] = {
    "GPT-J-6B": GPTJConfig(),
    "LLaMA2-7B": LlamaConfig(max_position_embeddings=4096),
}
STUDIES: dict[str, tuple[str, str, dict[str, Any]]] = {  # as the page names it: the study, its task, keys besides
    "`figure1`": ("figure1", "sst2", {}),
    "`figure1`, every layer": ("figure1", "sst2", {"space": {"layers": "all"}}),
    "`figure2`": ("figure2", "sst2", {}),
    "`figure3`, 2,000 rows": ("figure3", "sst2", {"task": {"validation_size": 2000, "test_size": 2000}}),
    "`algorithm1`": ("algorithm1", "sst2", {}),
    "`tables`, MRPC": ("tables", "mrpc", {}),
    "`tables`, RTE": ("tables", "rte", {}),
    "`tables`, COPA": ("tables", "copa", {}),
}
GPUS = ("3090", "4090", "A10", "A100", "H100")
BEGIN, END = "<!-- begin: python -m tests.benchmarks.costs -->\n", "<!-- end -->\n"


def write_stand_in(folder: Path, config: PretrainedConfig) -> Path:
    """A checkpoint's folder with everything that a plan reads: config, tokenizer, and the headers of the weights."""
    shutil.copytree(SHARED / "models" / "gptj-prompts-5m", folder, ignore=shutil.ignore_patterns("*.safetensors"))
    config.dtype = torch.float16
    config.save_pretrained(folder)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float16)
    end, header = 0, {}
    for name, tensor in model.state_dict().items():
        begin, end = end, end + 2 * tensor.numel()
        header[name] = {"dtype": "F16", "shape": list(tensor.shape), "data_offsets": [begin, end]}
    written = json.dumps(header | {"__metadata__": {"format": "pt"}}).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(written).to_bytes(8, "little") + written)
        file.truncate(8 + len(written) + end)  # a hole: it takes no room
    return folder


@contextmanager
def unhashed() -> Iterator[None]:
    """The fingerprint of a stand-in is not taken: hashing a hole of 12 GB takes as long as hashing weights."""
    with patch("clipsweep.trials.models.describe.fingerprint_of", return_value="0" * 32):
        yield


def cost_of(study: str, task: str, keys: Mapping[str, Any], model: Path, folder: Path) -> dict[str, Any]:
    """What the dry run says: trials, operations, bytes of weights and of factors."""
    rows = {"name": task, "path": str(SHARED / "data" / task)} | keys.get("task", {})
    sections = dict(keys) | {"task": rows, "model": {"path": str(model)}, "cluster": {"replicas": 1}}
    with unhashed():
        plan = clipsweep.plan(study, dir=folder, **sections)
    wanted = ("trials", "test_trials_at_most", "operations", "weight_bytes_per_replica", "factor_bytes_on_disk")
    return {name: plan[name] for name in wanted}


def measure() -> dict[str, dict[str, Any]]:
    """The cost of every study on every model."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as home, patch.dict(os.environ, {"CLIPSWEEP_CACHE": f"{home}/cache"}):
        for model, config in CONFIGS.items():
            folder = write_stand_in(Path(home) / model, config)
            for place, (name, asked) in enumerate(STUDIES.items()):
                cost = cost_of(*asked, folder, Path(home) / f"{model}-{place}")
                found.setdefault(name, {})[model] = cost
                print(f"{model} {name}: {cost['operations']:.2g} operations", flush=True)
    return found


def tables(costs: Mapping[str, Mapping[str, Any]]) -> str:
    """The tables of the page, in Markdown."""
    return "\n".join([*_operations(costs), "", *(line for model in CONFIGS for line in _hours(costs, model))])


def _operations(costs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield from _row(["study", "trials", *(f"operations, {model}" for model in CONFIGS), "factors on disk"])
    yield from _row(["---", *["---:"] * (2 + len(CONFIGS))])
    for name, by_model in costs.items():
        found = list(by_model.values())
        sizes = " / ".join(f"{each['factor_bytes_on_disk'] / 1e9:.1f}" for each in found)
        counts = [f"{each['operations']:.1e}" for each in found]
        yield from _row([name, f"{found[0]['trials']} + {found[0]['test_trials_at_most']}", *counts, f"{sizes} GB"])


def _hours(costs: Mapping[str, Mapping[str, Any]], model: str) -> Iterator[str]:
    """How long one GPU takes, a column for each."""
    yield from ["", f"{model}, one GPU:", ""]
    yield from _row(["study", *GPUS])
    yield from _row(["---", *["---:"] * len(GPUS)])
    for name, by_model in costs.items():
        operations = by_model[model]["operations"]
        yield from _row([name, *(_words(operations / sustained(gpu)) for gpu in GPUS)])


def sustained(gpu: str) -> float:
    """Operations per second that are counted with, in half precision."""
    return ENGINE_SHARE * GPU_TERAFLOPS[gpu][0] * 1e12


def _words(seconds: float) -> str:
    minutes = seconds / 60
    if minutes < 1:
        return "< 1 min"
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.1f} h"


def _row(cells: Sequence[str]) -> Iterator[str]:
    yield f"| {' | '.join(cells)} |"


def on_page(page: str) -> str:
    """The part of the page that is written here."""
    return page.partition(BEGIN)[2].partition(END)[0]


def main() -> None:
    """Count, keep, and write the page."""
    costs = measure()
    RESULTS.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    written = page.replace(BEGIN + on_page(page) + END, f"{BEGIN}\n{tables(costs)}\n\n{END}")
    PAGE.write_text(written, encoding="utf-8")


if __name__ == "__main__":
    main()
