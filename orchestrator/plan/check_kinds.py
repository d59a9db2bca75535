"""Check that a model's matrices and a task's rows suit kinds of clip and the theory, before a replica starts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.base.files import read_note, write_note
from clipsweep.trials.base.versions import package_version
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import ATTENTION_ROLES
from clipsweep.trials.tasks.texts import refuse_demonstrations, refuse_missing

ATTENTIONS_VERSION = 1  # raised when find_attentions finds others


def check_kinds(
    clips: Iterable[Clip], card: ModelCard, shots: Collection[int], n_rows: int, read_by: str | None = None
) -> None:
    """Refuse clips that trials cannot have.

    Args:
        clips: Each alone.
        card: Of the model.
        shots: Of the trials.
        n_rows: Rows of validation.
        read_by: Name of a task whose prompts no wording of ours makes; None of others.

    Raises:
        SpecError: A kind cannot take a matrix that its clip names, or the model lacks it.
        TaskError: A kind wants texts that are not there.
    """
    for clip in clips:
        resolve([clip], card)
        texts = load_kind(clip.kind).texts(clip)
        if texts is not None:
            refuse_missing(texts, min(shots), n_rows)
            if read_by is not None:
                refuse_demonstrations(texts, read_by)


def check_theory(space: Space, blocks: Callable[[], int], *, of_text: bool) -> None:
    """Refuse to measure the theory where no trial has what it is measured from.

    Args:
        space: Of the trials.
        blocks: Counts the model's blocks that can be measured; asked last, as it may take seconds.
        of_text: Whether all tasks are text.

    Raises:
        StudyError: No trial has demonstrations, none clips anything, or no block has an attention that can be measured.
    """
    asked = "study key 'theory' asks what demonstrations do, but"
    if of_text:
        raise StudyError(
            f"{asked} the task is text, which has none; expected a task with labels or answers. Remove theory, or take "
            f"another task."
        )
    if not any(each.shots for shots in space.shots for each in space.prompt_sets(shots)):
        raise StudyError(
            f"{asked} all trials have 0 shots; expected 1 shot or more somewhere. Raise space.shots, or remove theory."
        )
    if all(clip.is_idle for clips in space.largest_clips() for clip in clips):
        raise StudyError(
            "study key 'theory' compares clipped models with the untouched one, but no clip rate is above 0; expected "
            "one that is. Add one to space.clip_rates, or remove theory."
        )
    if not blocks():
        raise StudyError(
            f"{asked} no block of this model has one matrix each of {', '.join(ATTENTION_ROLES)} that are cut into "
            f"heads and go together head by head, of which its implicit update is made; expected a model with such "
            f"attention. Remove theory, or take another model."
        )


def measurable_blocks(checkpoint: Path, cache: Path) -> int:
    """How many blocks of a model have an attention that can be measured, from its config alone; remembered.

    Raises:
        ModelError: transformers cannot build the model.
    """
    digest = hashlib.sha256((checkpoint / "config.json").read_bytes())
    digest.update(f" {package_version('transformers')} {ATTENTIONS_VERSION}".encode())
    note = cache / "attentions" / f"{digest.hexdigest()[:32]}.json"
    known = read_note(note)
    if known is None:
        from clipsweep.trials.models.find_layout import find_layout  # here, as these load torch and transformers
        from clipsweep.trials.models.load import empty_model
        from clipsweep.trials.theory.attention import find_attentions

        model = empty_model(checkpoint)
        known = {"blocks": sum(each is not None for each in find_attentions(model, find_layout(model)))}
        write_note(note, known)
    return int(known["blocks"])
