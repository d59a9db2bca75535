"""Checkpoint folders that are changed on purpose."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor


def copy_of(folder: Path, target: Path, /, **config: Any) -> Path:
    """A copy with other values in its config."""
    shutil.copytree(folder, target)
    path = target / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return target


def tensors_of(folder: Path) -> dict[str, Tensor]:
    return dict(load_file(folder / "model.safetensors"))


def store(tensors: Mapping[str, Tensor], folder: Path, name: str = "model.safetensors") -> None:
    save_file(dict(tensors), folder / name, metadata={"format": "pt"})


def split(folder: Path) -> dict[str, str]:
    """Store the weights in two shards with an index; its weight_map."""
    tensors = tensors_of(folder)
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    weight_map: dict[str, str] = {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        shard = f"model-0000{number}-of-00002.safetensors"
        store({name: tensors[name] for name in part}, folder, shard)
        weight_map |= dict.fromkeys(part, shard)
    write_index(folder, {"metadata": {}, "weight_map": weight_map})
    return weight_map


def write_index(folder: Path, content: Any) -> None:
    (folder / "model.safetensors.index.json").write_text(json.dumps(content))
