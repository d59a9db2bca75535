"""Studies of small models of several architectures, run, and their trials."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.api import StudyHandle, open_study
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.files import default_cache
from clipsweep.trials.embedded.train import build_tokenizer
from tests.conftest import tiny_study
from tests.trials.architectures import ARCHITECTURES, random_model


def save_with_tokenizer(name: str, folder: Path) -> Path:
    """A small random model of one of ``ARCHITECTURES`` in several files, with our tokenizer."""
    tokenizer = build_tokenizer()
    random_model(ARCHITECTURES[name](len(tokenizer))).save_pretrained(folder, max_shard_size="60KB")
    tokenizer.save_pretrained(folder)
    return folder


def run_small(model: Path, folder: Path, /, **sections: dict[str, object]) -> StudyHandle:
    """Run the small study of a model; keyword arguments replace keys of its sections."""
    run_study(check_study(tiny_study(model, **sections)), folder, default_cache(), Console(quiet=True))
    return open_study(folder)


def row_of_kind(study: StudyHandle, kind: str, demo_seed: int = 0) -> StoredRow:
    """The validation row of its one clip of a kind."""
    rows = [row for row in study.stored_rows() if row.split == "validation" and row.demo_seed == demo_seed]
    [row] = (row for row in rows if any(clip.kind == kind for clip in row.clips))
    return row


def clipped_row(study: StudyHandle, clip_rate: float = 0.9, layer: int = 1) -> StoredRow:
    """The validation row of one of its clips."""
    [row] = (
        row
        for row in study.stored_rows()
        if row.clip_rate == clip_rate and row.layer == layer and row.split == "validation"
    )
    return row
