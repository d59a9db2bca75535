"""Check that the matrices and rows of a study suit its kinds of clip, before a replica starts."""

from __future__ import annotations

from clipsweep.orchestrator.space.pending import PendingSpace
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.clips.kind import load_kind
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.tasks.texts import refuse_missing


def check_kinds(space: Space | PendingSpace, card: ModelCard, n_rows: int) -> None:
    """Refuse kinds of clip that the study cannot have.

    Args:
        space: Of the study, or one whose layers are not known yet.
        card: Of the model.
        n_rows: Rows of validation.

    Raises:
        SpecError: A kind cannot take a matrix that the space clips.
        TaskError: A kind wants texts that are not there.
    """
    known = space.stand_in if isinstance(space, PendingSpace) else space
    for clips in known.largest_clips():
        resolve(clips, card)
        _check_texts(clips[0], known, n_rows)


def _check_texts(clip: Clip, space: Space, n_rows: int) -> None:
    texts = load_kind(clip.kind).texts(clip)
    if texts is not None:
        refuse_missing(texts, min(space.shots), n_rows)
