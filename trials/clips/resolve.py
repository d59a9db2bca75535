"""Resolve clips for one model: which matrices change, where a trial starts, and what is left of the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from clipsweep.trials.clips.kind import Kind, load_kind
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import ATTENTION, ATTENTION_ROLES, MLP
from clipsweep.trials.spec.resolved import Edit, Fingerprint, ResolvedClips
from clipsweep.trials.spec.shape import Shape
from clipsweep.trials.spec.start import Start


def resolve(clips: Iterable[Clip], card: ModelCard) -> ResolvedClips:
    """Work out the effect of clips on a model.

    Args:
        clips: Of one trial: no two of them share a matrix.
        card: Of the model.

    Raises:
        SpecError: The model lacks a layer, has no matrix of the module in it, or one that the clip's kind cannot take.
    """
    edits = tuple(
        Edit(layer=clip.layer, role=role, shape=shape, clip=clip)
        for clip in clips
        for _, role, shape in _changes(clip, card)
    )
    return ResolvedClips(
        edits=edits,
        start=_start(edits, card),
        parameters_kept=card.parameters_total - sum(map(_parameters_saved, edits)),
        fingerprint=_fingerprint(edits),
    )


def fingerprint_of(clips: Iterable[Clip], card: ModelCard) -> Fingerprint:
    """The fingerprint of ``resolve`` alone, in less than half the time.

    Raises:
        SpecError: As ``resolve``.
    """
    return _sorted(
        (clip.layer, role, kind.fingerprint(clip, shape), clip.kind)
        for clip in clips
        for kind, role, shape in _changes(clip, card)
    )


def starts_of(clips: Iterable[Clip], card: ModelCard) -> tuple[Start, ...]:
    """Where trials start that have one of these clips each; every start once."""
    return tuple(dict.fromkeys(resolve([clip], card).start for clip in clips))


def _changes(clip: Clip, card: ModelCard) -> Iterator[tuple[Kind, str, Shape]]:
    """Role and shape of the matrices that a clip really changes, and its kind."""
    kind = load_kind(clip.kind)
    for role in card.roles_at(clip.layer, clip.module):
        for shape in card.shapes[clip.layer, role]:
            kind.check(clip, shape)
            if not kind.leaves_alone(clip, shape):
                yield kind, role, shape


def _start(edits: Sequence[Edit], card: ModelCard) -> Start:
    """The first block that changes, with the part of it that does not, if one part does not."""
    block = min((edit.layer for edit in edits), default=card.n_layers)
    in_attention = {edit.role in ATTENTION_ROLES for edit in edits if edit.layer == block}
    if len(in_attention) != 1:
        return Start(block=block)
    return Start(block=block, reuse=MLP if in_attention == {True} else ATTENTION)


def _parameters_saved(edit: Edit) -> int:
    """How many parameters fewer the clipped matrices have."""
    rows, cols, count = edit.shape
    kept = load_kind(edit.clip.kind).parameters_kept(edit.clip, edit.shape)
    return count * (rows * cols - kept)


def _fingerprint(edits: Sequence[Edit]) -> Fingerprint:
    """The same for clips in any order."""
    return _sorted(
        (edit.layer, edit.role, load_kind(edit.clip.kind).fingerprint(edit.clip, edit.shape), edit.clip.kind)
        for edit in edits
    )


def _sorted(entries: Iterable[tuple[int, str, int | str, str]]) -> Fingerprint:
    """Entries in the order of a fingerprint. Identities of stored rows depend on it: it must stay as it is."""
    return tuple(sorted(entries, key=_order))


def _order(entry: tuple[int, str, int | str, str]) -> tuple[int, str, int, str, str]:
    """By layer, role and fingerprint: numbers by their value, and before texts."""
    layer, role, fingerprint, kind = entry
    number, text = (fingerprint, "") if isinstance(fingerprint, int) else (0, fingerprint)
    return layer, role, number, text, kind
