"""A study of a small model, its best clip as a checkpoint, and what plain transformers answers with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from transformers import AutoModelForCausalLM, AutoTokenizer

from clipsweep.orchestrator.api import StudyHandle, open_study
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.take_home.apply import Wish, apply_study
from clipsweep.trials.embedded.train import build_tokenizer
from clipsweep.trials.scores.judge import score_labels
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tokens.encode import encode_prompts
from tests.trials.architectures import ARCHITECTURES, CONTEXT_LENGTH, random_model
from tests.trials.reference import score_one_by_one

ROUND_TRIPS = ("gptj", "llama", "gpt2", "gpt_neox", "mixtral", "gemma2")
ROWS, SHOTS = 200, 2


def flips_of(name: str, folder: Path) -> tuple[int, int]:
    """How many answers differ, of how many: every trial of a study that clips everything in the last block."""
    tokenizer = build_tokenizer()
    random_model(ARCHITECTURES[name](len(tokenizer))).save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    study: dict[str, Any] = {
        "name": name,
        "model": {"path": str(folder / "model")},
        "task": {"name": "episodes", "validation_size": ROWS, "test_size": 0, "seed": 0},
        "space": {"layers": [-1], "modules": ["mlp", "all"], "shots": [SHOTS], "clip_rates": [0.5, 0.9]},
        "cluster": {"replicas": 0},
    }
    run_study(check_study(study), folder / "study", folder / "cache", Console(quiet=True))
    opened = open_study(folder / "study")
    rows = [row for row in opened.stored_rows() if row.clips]
    differ = 0
    for row in rows:
        out = folder / row.trial_id
        apply_study(Snapshot.take(reopen(folder / "study")), row.trial_id, Wish(out=out), folder / "cache")
        differ += int((answers(opened, out, row.shots, row.demo_seed, folder / "cache") != row.outcomes).sum())
    return differ, len(rows) * ROWS


def answers(study: StudyHandle, out: Path, shots: int, demo_seed: int, cache: Path) -> Any:
    """Right or wrong for each row, each prompt alone through the forward pass of plain transformers."""
    import numpy as np

    task = load_task(study.study.task_settings(), cache)
    wanted = PromptSet(shots=shots, demo_seed=demo_seed, split="validation")
    prompts = encode_prompts(task, AutoTokenizer.from_pretrained(out), wanted, CONTEXT_LENGTH)
    with torch.inference_mode():
        scores = score_one_by_one(AutoModelForCausalLM.from_pretrained(out), prompts).numpy()
    outcomes, _ = score_labels(scores, [query.gold for query in prompts.queries])
    return np.asarray(outcomes)
