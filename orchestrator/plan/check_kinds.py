"""Check that a model's matrices and a task's rows suit the kinds of some clips, before a replica starts."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
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
