"""What the command line says of a checkpoint that is damaged or does not fit: one line, and exit code 2."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from tests.trials.checkpoint.folders import copy_of, split, store, tensors_of, write_index

Damage = Callable[[Path], object]


def lose_a_shard(folder: Path) -> None:
    split(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()


def leave_the_folder(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "x.safetensors")
    write_index(folder, {"weight_map": {"transformer.wte.weight": "../x.safetensors"}})


def add_a_tensor(folder: Path) -> None:
    store(tensors_of(folder) | {"transformer.h.0.attn.q_proj.bias": torch.ones(32)}, folder)


def cut_short(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])


WEIGHTS: list[Damage] = [
    lose_a_shard,
    leave_the_folder,
    add_a_tensor,
    cut_short,
    lambda folder: (folder / "model.safetensors").write_bytes(b""),
    lambda folder: (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"[]"),
]
CONFIGS: list[Damage] = [
    lambda folder: (folder / "config.json").write_text("[]"),
    lambda folder: (folder / "config.json").write_text('"text"'),
    lambda folder: (folder / "config.json").write_text('{"model_type": "gptj"'),
    lambda folder: (folder / "config.json").write_text('{"a":' * 100_000),
    lambda folder: (folder / "config.json").write_bytes(b"\xff\xfe"),
    lambda folder: (folder / "config.json").write_text('{"model_type": ["gptj"]}'),
    lambda folder: (folder / "config.json").write_text('{"model_type": "gptj", "n_layer": "four"}'),
]


def check_refused(*arguments: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2, result.output
    *before, last = result.output.splitlines()
    assert last.startswith("error: ")
    assert not [line for line in before if "error" in line.lower() or "Traceback" in line]


@pytest.mark.parametrize("damage", WEIGHTS + CONFIGS)
def test_a_run_is_refused_before_anything_is_written(
    damage: Damage, tiny_gptj: Path, make_study: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    damage(copy_of(tiny_gptj, tmp_path / "model"))
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(make_study(model={"path": str(tmp_path / "model")})))
    check_refused("run", str(tmp_path / "s.yaml"), "--dry-run")
    check_refused("run", str(tmp_path / "s.yaml"), "--dir", str(tmp_path / "s"))
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("damage", CONFIGS)
def test_a_look_at_the_model_is_refused(damage: Damage, tiny_gptj: Path, tmp_path: Path) -> None:
    damage(copy_of(tiny_gptj, tmp_path / "model"))
    check_refused("model", "show", str(tmp_path / "model"))


@pytest.mark.parametrize("damage", WEIGHTS)
def test_a_spectrum_is_refused(damage: Damage, tiny_gptj: Path, tmp_path: Path, cache: Path) -> None:
    damage(copy_of(tiny_gptj, tmp_path / "model"))
    check_refused("spectrum", str(tmp_path / "model"))
