"""A checkpoint is written within twice its largest file and the factors of one matrix, however large all of it is."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, GPTJConfig

from clipsweep.trials.checkpoint.weight_files import weight_files
from clipsweep.trials.clips.edit import edit_weights
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.spec.clip import Clip
from tests.trials.architectures import card_of

WIDTH, LAYERS, CLIPPED = 512, 12, (3, 11)
WRITE = """
import json, sys
from pathlib import Path
from clipsweep.trials.clips.factor_cache import FactorCache
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.export.recipe import Recipe
from clipsweep.trials.export.source import open_source
from clipsweep.trials.export.write import Order, write_checkpoint
from clipsweep.trials.models.describe import describe_checkpoint
from clipsweep.trials.spec.clip import Clip


def memory(name):  # getrusage's would hold the parent's, too
    status = Path("/proc/self/status").read_text()
    return 1024 * next(int(line.split()[1]) for line in status.splitlines() if line.startswith(name))


def write(model, layers):
    clips = tuple(Clip(layer=layer, module="mlp", clip_rate=0.9) for layer in layers)
    resolved = resolve(clips, describe_checkpoint(model, "float32", folder / "cache"))
    recipe = Recipe(model="m", model_fingerprint="f", clips=clips, dtype="float32", written_as="float32")
    order = Order(folder=model, clips=resolved, recipe=recipe, readme="")
    write_checkpoint(order, folder / "out" / model.name, FactorCache(folder / "cache", memory_bytes=0))


folder, layers = Path(sys.argv[1]), json.loads(sys.argv[2])
write(folder / "small", [1])  # loads all code
before = memory("VmRSS")
write(folder / "large", layers)
print(memory("VmHWM") - before)
"""


def save_gptj(folder: Path, width: int, layers: int, clipped: Sequence[int]) -> None:
    """A GPT-J, each of its blocks in a file of its own, with the factors of some in the cache."""
    config = GPTJConfig(
        vocab_size=200, n_positions=64, n_embd=width, n_layer=layers, n_head=4, rotary_dim=8, bos_token_id=0,
        eos_token_id=1,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(folder, max_shard_size=int(1.1 * 12 * width**2 * 4))
    clips = tuple(Clip(layer=layer, module="mlp", clip_rate=0.9) for layer in clipped)
    edit_weights(model, find_layout(model), resolve(clips, card_of(model)), FactorCache(folder.parent / "cache"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a small model, and a large one of many files."""
    folder = tmp_path_factory.mktemp("memory")
    save_gptj(folder / "small", 64, 2, (1,))
    save_gptj(folder / "large", WIDTH, LAYERS, CLIPPED)
    return folder


@pytest.mark.slow
def test_the_peak_is_bounded_by_the_largest_file_and_one_matrix_of_factors(folder: Path) -> None:
    sizes = [path.stat().st_size for path in weight_files(folder / "large")]
    factors = (WIDTH**2 + 4 * WIDTH**2 + WIDTH) * 4
    bound = 2 * max(sizes) + factors
    assert sum(sizes) > 4 * bound
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(folder), json.dumps(CLIPPED)],
        env=os.environ | {"MALLOC_MMAP_THRESHOLD_": str(2**20)},  # else glibc keeps some of what is freed, now and then
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) <= bound
