"""Check that a model's matrices and a task's rows suit kinds of clip and the theory, before a replica starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import ATTENTION_ROLES
from clipsweep.trials.tasks.texts import refuse_demonstrations, refuse_missing


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


def check_theory(card: ModelCard, space: Space, *, of_text: bool) -> None:
    """Refuse to measure the theory where no trial has what it is measured from.

    Args:
        card: Of the model.
        space: Of the trials.
        of_text: Whether all tasks are text.

    Raises:
        StudyError: No trial has demonstrations, or no block an attention that can be measured.
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
    held = ([card.shapes.get((layer, role), ()) for role in ATTENTION_ROLES] for layer in range(card.n_layers))
    if not any(all(sum(shape.count for shape in shapes) == 1 for shapes in block) for block in held):
        raise StudyError(
            f"{asked} no block of this {card.model_type} model has one matrix each of {', '.join(ATTENTION_ROLES)}, "
            f"which its implicit update is made of; expected a model with such attention. Remove theory, or take "
            f"another model."
        )
