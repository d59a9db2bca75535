"""Check the prompts of the trials to come, before a replica starts; what passed is remembered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import astuple, replace
from pathlib import Path

from clipsweep.orchestrator.plan.prepare import Prepared
from clipsweep.trials.base.errors import PlaceError
from clipsweep.trials.base.files import read_note, write_note
from clipsweep.trials.base.loading import nothing_collected
from clipsweep.trials.base.os_words import worded_as
from clipsweep.trials.base.versions import package_version
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.trial import TEST, PromptSet, TrialSpec
from clipsweep.trials.tasks.task import Task

CHECK_VERSION = 1  # raised when other prompts pass, or when the user is told something else of them
READERS = ("transformers", "tokenizers", "sentencepiece")


@worded_as(PlaceError)  # nothing has begun yet, so it is bad input
def check_trials(prepared: Prepared, specs: Iterable[TrialSpec]) -> list[str]:
    """Check the prompts of the trials to come, so that none is found wanting once replicas run.

    Of prompts that passed before the notes are remembered: the second time, neither torch nor transformers is imported.

    Returns:
        What the user should know, each once: demonstrations that have no room, by shots, seed and split; answers that
        do not follow the prompt as a model has seen it; special tokens in rows; chance in the tokenizer.

    Raises:
        TaskError: A label word without tokens, too few rows for the shots, a prompt longer than the context, a token
            that the model has no embedding for.
    """
    wanted = {spec.prompt_set for spec in specs}
    if prepared.opened.subject.tested:
        wanted |= {replace(prompt_set, split=TEST) for prompt_set in wanted}
    if not wanted:
        return []
    notes: list[str] = []
    for name, task in prepared.tasks.items():
        of_task = wanted if len(prepared.tasks) == 1 else {each for each in wanted if each.task == name}
        told = _check_task(prepared, task, sorted(of_task, key=astuple)) if of_task else []
        notes += told if len(prepared.tasks) == 1 else [f"task {name}: {note}" for note in told]
    return notes


def _check_task(prepared: Prepared, task: Task, prompt_sets: Sequence[PromptSet]) -> list[str]:
    """Check the prompts of one task; arguments and errors as of ``check_prompt_sets``."""
    note = prepared.cache / "prompts" / f"{_key(prepared, task, prompt_sets)}.json"
    known = read_note(note)
    if known is None:
        card = prepared.opened.subject.card
        known = {"notes": check_prompt_sets(task, prepared.checkpoint, card, prompt_sets)}
        write_note(note, known)
    return list(known["notes"])


def _key(prepared: Prepared, task: Task, prompt_sets: Sequence[PromptSet]) -> str:
    """A hash of all that the check depends on: the model's files, the task with its rows, and what reads them."""
    card = prepared.opened.subject.card
    facts = {
        "version": CHECK_VERSION,
        "readers": {name: package_version(name) for name in READERS},
        "checkpoint": [str(prepared.checkpoint), card.fingerprint, card.context_length, card.vocabulary_size],
        "task": [task.name, task.fingerprint, task.fixed, task.truncate, repr(task.definition), task.notes],
        "places": [(*row.place, row.part) for rows in task.splits.values() for row in rows],  # which notes name
        "prompts": [astuple(each) for each in prompt_sets],
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def check_prompt_sets(task: Task, checkpoint: Path, card: ModelCard, prompt_sets: Sequence[PromptSet]) -> list[str]:
    """Tokenise what may not pass; loads torch and transformers.

    Args:
        task: With its rows.
        checkpoint: Whose tokenizer reads them.
        card: Of the same checkpoint.
        prompt_sets: Each once.

    Returns:
        The notes of ``check_trials``.

    Raises:
        TaskError: As ``check_trials``.
    """
    with nothing_collected():  # here, as these load torch and transformers
        from clipsweep.trials.tokens.embeddings import check_embeddings
        from clipsweep.trials.tokens.encode import check_prompts
        from clipsweep.trials.tokens.notes import prompt_notes
        from clipsweep.trials.tokens.tokenizer import open_tokenizer

    tokenizer, notes = open_tokenizer(checkpoint)
    shown = []
    for each in prompt_sets:
        fitting = check_prompts(task, tokenizer, each, card.context_length)
        shown.append(replace(each, shots=fitting))
        if fitting < each.shots:
            notes.append(
                f"{each.split}, {each.shots} shots, seed {each.demo_seed}: {fitting} demonstrations are in the prompt; "
                f"more do not fit in {card.context_length} tokens (task.truncate: {task.truncate})"
            )
    check_embeddings(task, tokenizer, shown, card.vocabulary_size)
    for split in dict.fromkeys(each.split for each in shown):
        notes += prompt_notes(task, tokenizer, split)
    return list(dict.fromkeys(notes))
