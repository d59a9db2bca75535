"""What it takes to write a clipped checkpoint, and what thin factors save: on a 28-layer GPT-J of width 1024.

Each measurement runs in a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmarks import compose_compared, kinds_compared
from tests.benchmarks.document import Line, at_most, print_document, tell
from tests.benchmarks.harness import harness_lines

LAYERS, WIDTH, VOCABULARY, FILES = 28, 1024, 50400, 8
QUICK_LAYERS, QUICK_VOCABULARY, QUICK_FILES = 4, 5000, 3
ROUNDS = 5
RATES = (0.9, 0.95, 0.99)
PROMPT, GENERATED, BATCHES = 32, 16, (1, 32)
MIB = 2**20


def save_source(folder: Path, layers: int, vocabulary: int, files: int) -> None:
    """A random GPT-J in so many files."""
    from transformers import AutoModelForCausalLM, GPTJConfig

    config = GPTJConfig(
        vocab_size=vocabulary, n_positions=512, n_embd=WIDTH, n_layer=layers, n_head=16, rotary_dim=64,
        bos_token_id=0, eos_token_id=1,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config)
    n_bytes = sum(parameter.nbytes for parameter in model.parameters())
    model.save_pretrained(folder, max_shard_size=int(1.06 * n_bytes / files))


def write(source: Path, out: Path, layers: list[int], clip_rate: float, form: str) -> dict[str, Any]:
    """Clip the ``mlp`` of some layers of the source; how long that takes, and what it holds at most."""
    from clipsweep.orchestrator.take_home.apply import Wish, apply_clips
    from clipsweep.orchestrator.terminal.clip_option import ClipText
    from clipsweep.trials.models.settings import ModelSettings

    clips = [ClipText(layer=layer, module="mlp", clip_rate=clip_rate).clip for layer in layers]
    settings = ModelSettings(path=str(source), dtype="float32")
    wish = Wish(out=out, format="factored" if form == "factored" else "dense")
    began = time.perf_counter()
    document = apply_clips(settings, clips, wish, source.parent / "cache")
    return document | {"whole_seconds": time.perf_counter() - began}


def memory(name: str) -> int:
    """Bytes of this process by their name in ``/proc/self/status``."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def fill_part(folder: Path, layers: int) -> dict[str, float]:
    """Write the clip once, after which its factors and the hashes of the files are in the cache."""
    seconds = write(folder / "source", folder / "first", [layers - 1], 0.95, "dense")["whole_seconds"]
    shutil.rmtree(folder / "first")
    return {"seconds": seconds}


def apply_part(folder: Path, layers: int) -> dict[str, float]:
    """Write one clip again and again, in turn with copying the files; the peak of writing."""
    write(folder / "small", folder / "first", [1], 0.95, "dense")  # loads all code
    before = memory("VmRSS")
    written, copied = [], []
    for _ in range(ROUNDS):
        os.sync()  # what the other has left to flush
        written.append(write(folder / "source", folder / "out", [layers - 1], 0.95, "dense")["whole_seconds"])
        os.sync()
        copied.append(copy(folder / "source", folder / "copy"))
        shutil.rmtree(folder / "out")
        shutil.rmtree(folder / "copy")
    return {"seconds": median(written), "copied": median(copied), "bytes": memory("VmHWM") - before}


def copy(source: Path, out: Path) -> float:
    """Seconds to copy a folder to disk, each file flushed as those of a checkpoint are."""
    began = time.perf_counter()
    shutil.copytree(source, out)
    for path in out.iterdir():
        with path.open("rb") as opened:
            os.fsync(opened.fileno())
    return time.perf_counter() - began


def run_part(folder: Path, name: str) -> dict[str, float]:
    """Load a checkpoint, dense or factored; what it holds, and how many tokens a second it generates."""
    import torch
    from transformers import AutoModelForCausalLM

    from clipsweep import load_factored

    tokens = torch.ones(1, 4, dtype=torch.long)
    before = memory("VmRSS")
    path = folder / name
    model = load_factored(path) if name != "dense" else AutoModelForCausalLM.from_pretrained(path)
    model.eval()
    found: dict[str, float] = {}
    with torch.inference_mode():
        model(tokens)
        found["bytes"] = memory("VmRSS") - before
        for batch in BATCHES:
            prompt = torch.randint(2, 1000, (batch, PROMPT), generator=torch.Generator().manual_seed(0))
            settings = {"min_new_tokens": GENERATED, "max_new_tokens": GENERATED, "pad_token_id": 0, "do_sample": False}
            began = time.perf_counter()
            model.generate(prompt, attention_mask=torch.ones_like(prompt), **settings)
            found[f"tokens at {batch}"] = batch * GENERATED / (time.perf_counter() - began)
    return found


def factored_lines(folder: Path, layers: int) -> Iterator[Line]:
    """Dense against factored at several rates of all ``mlp`` matrices: disk, memory, tokens per second."""
    every = list(range(layers))
    shutil.copytree(folder / "source", folder / "dense")
    dense_bytes = weight_bytes(folder / "dense")
    yield Line(name="dense: bytes on disk", value=dense_bytes / MIB, unit="MiB")
    yield from run_lines(folder, "dense")
    shutil.rmtree(folder / "dense")
    for clip_rate in RATES:
        name = f"factored at {clip_rate:g}"
        write(folder / "source", folder / name, every, clip_rate, "factored")
        rank = round((1 - clip_rate) * WIDTH)
        saved = 4 * 2 * layers * (4 * WIDTH**2 - rank * 5 * WIDTH)
        found = weight_bytes(folder / name)
        yield Line(name=f"{name}: bytes on disk", value=found / MIB, unit="MiB")
        yield at_most(f"{name}: bytes off what the ranks say", abs(found / (dense_bytes - saved) - 1), "", 0.01)
        yield from run_lines(folder, name)
        shutil.rmtree(folder / name)


def weight_bytes(folder: Path) -> int:
    """Bytes of the files of weights."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def run_lines(folder: Path, name: str) -> Iterator[Line]:
    """What a checkpoint holds and gives in a process of its own."""
    found = part("run", folder, name)
    yield Line(name=f"{name}: resident memory of the model", value=found["bytes"] / MIB, unit="MiB")
    for batch in BATCHES:
        yield Line(name=f"{name}: generated at batch {batch}", value=found[f"tokens at {batch}"], unit="tokens/s")


def part(name: str, folder: Path, *more: str) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.apply", "--part", name, str(folder), *more]
    return dict(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))


def round_trip_lines(folder: Path) -> Iterator[Line]:
    """Study, checkpoint, plain transformers: how many examples are answered otherwise than stored."""
    from tests.benchmarks.round_trip import ROUND_TRIPS, flips_of

    for name in ROUND_TRIPS:
        differ, total = flips_of(name, folder / name)
        yield at_most(f"{name}: answers of {total} that differ from the stored trial's", differ, "", 0)


def measure(*, quick: bool) -> list[Line]:
    """All figures."""
    sizes = (QUICK_LAYERS, QUICK_VOCABULARY, QUICK_FILES) if quick else (LAYERS, VOCABULARY, FILES)
    layers = sizes[0]
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        save_source(folder / "source", *sizes)
        largest = max(path.stat().st_size for path in (folder / "source").glob("*.safetensors"))
        factors = 4 * (WIDTH**2 + 4 * WIDTH**2 + WIDTH)
        save_source(folder / "small", 2, 1000, 1)
        part("fill", folder, str(layers))
        applied = part("apply", folder, str(layers))
        ratio = applied["seconds"] / applied["copied"]
        lines += tell(
            [
                Line(name="the source's files", value=weight_bytes(folder / "source") / MIB, unit="MiB"),
                Line(name="how many they are", value=len(list((folder / "source").glob("*.safetensors"))), unit=""),
                Line(name="copying them", value=applied["copied"], unit="s"),
                Line(name="writing them with one mlp clip", value=applied["seconds"], unit="s"),
                at_most("writing ÷ copying", ratio, "", 1.5),
                at_most("peak memory of that", applied["bytes"] / MIB, "MiB", (2 * largest + factors) / MIB),
            ]
        )
        steps: list[Callable[[], Iterator[Line]]] = [
            lambda: factored_lines(folder, layers),
            lambda: round_trip_lines(folder),
            lambda: harness_lines(folder / "harness"),
            lambda: kinds_compared.lines(quick),
            lambda: compose_compared.lines(quick),
        ]
        for step in steps:
            for line in step():
                lines += tell([line])
    return lines


def main() -> None:
    """Print the document, or one part's figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="4 layers, fewer words; the same lines")
    parser.add_argument("--part", nargs="+", help="one measurement, for this script itself")
    options = parser.parse_args()
    if options.part is None:
        print_document(lambda: measure(quick=options.quick))
        return
    name, folder, more = options.part
    if name == "run":
        print(json.dumps(run_part(Path(folder), more)))
    elif name == "fill":
        print(json.dumps(fill_part(Path(folder), int(more))))
    else:
        print(json.dumps(apply_part(Path(folder), int(more))))


if __name__ == "__main__":
    main()
