"""The studies that faults are put into: a tiny model, a few rows, and each way to search."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.conftest import save_tiny_model, tiny_study

RATES = [0, 0.3, 0.5, 0.7, 0.9]
MANY: dict[str, Any] = {
    "layers": [0, 1],
    "modules": ["mlp", "attn", "q", "fc_in"],
    "clip_rates": [kept / 32 for kept in range(26)],  # each leaves another rank of 32
}
ROWS = {"validation_size": 120, "test_size": 0}
SEARCHES: dict[str, dict[str, Any]] = {
    "grid": {},
    "bayes": {"driver": "bayes", "n_trials": 200, "sampler": "tpe"},
    "grid halving": {"race": "halving"},
    "grid test": {"race": "test"},
    "bayes halving": {"driver": "bayes", "n_trials": 200, "sampler": "random", "race": "halving"},
    "bayes test": {"driver": "bayes", "n_trials": 200, "sampler": "random", "race": "test"},
    "algorithm1": {"driver": "algorithm1", "top_k": 1},
}
SPACE: dict[str, Any] = {"layers": [0, 1], "modules": ["mlp", "attn"], "clip_rates": RATES}


def save_model(folder: Path) -> Path:
    """A random model of two layers, with its tokenizer."""
    return save_tiny_model(folder, "gptj")


def twenty_trials(model: Path) -> dict[str, Any]:
    """A grid of 17 trials and 3 on test."""
    return tiny_study(model, space=SPACE)


def short_search(model: Path) -> dict[str, Any]:
    """Eight trials of the same space, chosen by Optuna."""
    return tiny_study(
        model, task={"test_size": 0}, space=SPACE, search={"driver": "bayes", "n_trials": 8, "sampler": "tpe"}
    )


def whole_space(model: Path) -> dict[str, Any]:
    """Every trial that the search could choose."""
    return tiny_study(model, task={"test_size": 0}, space=SPACE)


def many_trials(model: Path, search: str, replicas: int | str, **cluster: Any) -> dict[str, Any]:
    """Some 200 trials, chosen by one of ``SEARCHES``; all of them are trials of the first, a grid."""
    space = {**MANY, "layers": "all"} if search == "algorithm1" else MANY
    sections = {"task": ROWS, "space": space, "search": SEARCHES[search]}
    return tiny_study(model, **sections, cluster={"replicas": replicas, "cpus_per_replica": 1, **cluster})


def write_study(content: dict[str, Any], path: Path) -> Path:
    """Write the study file."""
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path
