"""Fixtures: tiny models built from configs, rows that we write, and folders that no test shares."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from transformers import AutoModelForCausalLM as AutoModel
from transformers import GPTJConfig, LlamaConfig, PreTrainedModel

from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.terminal.shell import set_volume
from clipsweep.trials.embedded.train import build_tokenizer

SHARED = Path(os.environ.get("CLIPSWEEP_SHARED", "../shared"))
REAL_MODEL = SHARED / "models" / "gptj-prompts-5m"
REAL_SST2 = SHARED / "data" / "sst2"

needs_shared = pytest.mark.skipif(
    not REAL_MODEL.is_dir(), reason=f"no real model under {SHARED}; set CLIPSWEEP_SHARED to the shared folder"
)


@contextmanager
def as_before() -> Iterator[None]:
    """Undo what a command line leaves in its process: variables that its children inherit, and how loud it is."""
    before = dict(os.environ)
    yield
    set_volume(quiet=False, verbose=False)
    for name in os.environ.keys() - before.keys():
        del os.environ[name]
    os.environ.update(before)


@pytest.fixture(autouse=True)
def each_test_leaves_the_process_as_it_was() -> Iterator[None]:
    with as_before():
        yield


def tiny_config(model_type: str) -> Any:
    """A two-layer config with our tokenizer's vocabulary."""
    vocabulary = len(build_tokenizer())
    if model_type == "gptj":
        return GPTJConfig(
            vocab_size=vocabulary, n_positions=256, n_embd=32, n_layer=2, n_head=2, rotary_dim=8, initializer_range=0.3
        )
    return LlamaConfig(
        vocab_size=vocabulary,
        max_position_embeddings=256,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.3,
    )


def save_tiny_model(folder: Path, model_type: str, seed: int = 0) -> Path:
    """Save a random two-layer model with a tokenizer, as a user's checkpoint folder."""
    torch.manual_seed(seed)
    model: PreTrainedModel = AutoModel.from_config(tiny_config(model_type))
    model.save_pretrained(folder)
    build_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session", params=["gptj", "llama"])
def tiny_model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GPT-J, then a LLaMA."""
    return save_tiny_model(tmp_path_factory.mktemp(request.param), request.param)


@pytest.fixture(scope="session")
def tiny_gptj(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_model(tmp_path_factory.mktemp("gptj"), "gptj")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of the test's own, which the command line uses too."""
    monkeypatch.setenv("CLIPSWEEP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tiny_study(model_folder: Path, /, **sections: dict[str, Any]) -> dict[str, Any]:
    """A small study of a model as a mapping; keyword arguments replace keys of its sections."""
    content: dict[str, Any] = {
        "name": "tiny",
        "model": {"path": str(model_folder)},
        "task": {"name": "episodes", "validation_size": 20, "test_size": 20, "seed": 0},
        "space": {"layers": [0, 1], "modules": ["mlp"], "shots": [2], "clip_rates": [0, 0.5, 0.9]},
        "cluster": {"replicas": 0},
    }
    for section, values in sections.items():
        content[section] = content.get(section, {}) | values
    return content


@pytest.fixture
def make_study(tiny_gptj: Path, tmp_path: Path, cache: Path) -> Callable[..., dict[str, Any]]:
    """A small study as a mapping; keyword arguments replace keys of its sections."""
    return partial(tiny_study, tiny_gptj)


@pytest.fixture(scope="session")
def finished_study(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the small study, run to its end; for reading."""
    folder = tmp_path_factory.mktemp("finished")
    run_study(check_study(tiny_study(tiny_gptj)), folder / "s", folder / "cache", Console(quiet=True))
    return folder / "s"


@pytest.fixture(scope="session")
def rte_study(tiny_gptj: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of RTE, of which the paper has curves; its rows are made up. For reading."""
    folder = tmp_path_factory.mktemp("rte")
    for split, count in (("train", 40), ("validation", 10)):
        texts = [f"{split} text {n}" for n in range(count)]
        rows = [{"premise": text, "hypothesis": text, "label": n % 2} for n, text in enumerate(texts)]
        write_rows(folder / "rows" / f"{split}.jsonl", rows)
    task = {"name": "rte", "path": str(folder / "rows"), "validation_size": 10, "test_size": None}
    study = tiny_study(tiny_gptj, task=task, space={"shots": [0], "clip_rates": [0.5, 0.9]})
    run_study(check_study(study), folder / "rte", folder / "cache", Console(quiet=True))
    return folder / "rte"


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A real Ray with four CPU cores, whatever the machine has, and a home and temporary folder of its own."""
    import ray

    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as home, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", home)
        patch.setenv("RAY_AUTH_MODE", "disabled")
        ray.init(
            num_cpus=4,
            include_dashboard=False,
            object_store_memory=100 * 2**20,
            log_to_driver=False,
            _temp_dir=f"{home}/ray",
        )
        yield
        ray.shutdown()


@pytest.fixture
def sst2_folder(tmp_path: Path) -> Path:
    """Sixty rows with SST-2's columns."""
    folder = tmp_path / "sst2"
    write_rows(folder / "train.jsonl", [{"sentence": f"film {n} was dull {n} ", "label": n % 2} for n in range(60)])
    return folder


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as a jsonl file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
