"""Weights that are replaced where a study has read them: the driver, its notes, and what the folder holds."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from transformers import AutoModelForCausalLM, GPTJConfig
from typer.testing import CliRunner

from clipsweep.orchestrator.cli import app
from clipsweep.trials.base.files import read_note, write_note
from clipsweep.trials.embedded.train import build_tokenizer

LARGE = {"n_positions": 256, "n_embd": 128, "n_layer": 1, "n_head": 2, "rotary_dim": 8}  # above 1 MiB of weights


@pytest.fixture
def study_file(make_study: Callable[..., dict[str, Any]], tmp_path: Path) -> Path:
    """A study of one trial of a model whose hash is remembered."""
    folder, tokenizer = tmp_path / "model", build_tokenizer()
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(GPTJConfig(vocab_size=len(tokenizer), **LARGE)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(make_study(model={"path": str(folder)}, space={"layers": [0], "clip_rates": [0]})))
    return path


def run(study_file: Path, folder: Path, *options: str) -> str:
    """Run the study; the fingerprint of its model."""
    result = CliRunner().invoke(app, ["run", str(study_file), "--dir", str(folder), *options])
    assert result.exit_code == 0, result.output
    return str(json.loads((folder / "identity.json").read_text())["card"]["fingerprint"])


@pytest.mark.slow
def test_verifying_hashes_reads_the_weights_themselves(study_file: Path, tmp_path: Path, cache: Path) -> None:
    true = run(study_file, tmp_path / "first")
    [note] = (cache / "hashes").iterdir()
    known = read_note(note)
    assert known is not None
    write_note(note, known | {"sha256": hashlib.sha256(b"of other weights").hexdigest()})
    assert run(study_file, tmp_path / "trusting") != true
    assert run(study_file, tmp_path / "verifying", "--verify-hashes") == true


@pytest.mark.slow
def test_a_study_goes_on_only_with_the_weights_that_it_began_with(study_file: Path, tmp_path: Path) -> None:
    run(study_file, tmp_path / "s")
    weights = tmp_path / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    result = CliRunner().invoke(app, ["run", str(study_file), "--dir", str(tmp_path / "s")])
    assert result.exit_code == 2
    assert "model_fingerprint" in result.output
