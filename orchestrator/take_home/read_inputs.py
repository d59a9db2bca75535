"""What matrices read over the texts of a stored trial, for the kinds of clip that look at texts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch

from clipsweep.analysis.row.row import StoredRow
from clipsweep.cluster.replica import pick_devices
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.words import Say
from clipsweep.trials.clips.edit import ReadInputs, read_owners
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.matrix_inputs import MatrixInputs
from clipsweep.trials.clips.target import Inputs
from clipsweep.trials.models.find_layout import find_layout
from clipsweep.trials.models.load import load_model
from clipsweep.trials.prompts.prompts import Tokens
from clipsweep.trials.spec.kinds import Texts
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_texts
from clipsweep.trials.tokens.tokenizer import load_tokenizer

Known = dict[tuple[str, Texts], Inputs]


def inputs_of_trial(
    opened: OpenStudy, row: StoredRow, clips: ResolvedClips, folder: Path, task: Task, say: Say
) -> ReadInputs:
    """Gives what the untouched model gave the clipped matrices of a trial to read, as its replica found it.

    When it is first called the whole model is loaded and reads the texts. It is let go again: what stays is ``X Xᵀ`` of
    each matrix.

    Args:
        opened: The study.
        row: The trial, whose demonstrations these are.
        clips: Of the trial.
        folder: The checkpoint.
        task: Of the study.
        say: Shows the user what is waited for.

    Returns:
        Its products are on the CPU. Called, it raises what ``load_model``, ``encode_texts`` and ``read_grams`` raise.
    """

    @cache
    def known() -> Known:
        say(f"loading the model, to see what its matrices read in trial {row.trial_id} …")
        return _read(opened, row, clips, folder, task)

    return lambda owner, texts: known()[owner, texts]


def _read(opened: OpenStudy, row: StoredRow, clips: ResolvedClips, folder: Path, task: Task) -> Known:
    """What each of the matrices reads, for all texts that the clips look at."""
    card, cluster = opened.subject.card, opened.study.cluster
    torch.set_num_threads(cluster.cpus_per_replica)  # as the trial had
    model, tokenizer = load_model(folder, card.dtype, *pick_devices(cluster.gpus_per_replica)), load_tokenizer(folder)
    shots = row.shots if row.demonstrations is None else row.demonstrations
    wanted = PromptSet(shots=shots, demo_seed=row.demo_seed, split=row.split)

    def read_texts(texts: Texts) -> tuple[Tokens, ...]:
        return encode_texts(task, tokenizer, wanted, card.context_length, texts)

    owners = read_owners(find_layout(model), clips)
    asked = dict.fromkeys(load_kind(edit.clip.kind).texts(edit.clip) for edit in clips.edits)
    reader = MatrixInputs(model, read_texts, owners)
    return {(owner, texts): _held(reader.read(owner, texts)) for texts in asked if texts for owner in owners}


def _held(inputs: Inputs) -> Inputs:
    """The same with its product at hand, on the CPU, where files are written."""
    gram = inputs.gram().cpu()
    return Inputs(key=inputs.key, gram=lambda: gram)
