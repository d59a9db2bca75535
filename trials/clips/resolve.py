"""What clips come to on one model."""

from __future__ import annotations

from collections.abc import Sequence

from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import ATTENTION, ATTENTION_ROLES, MLP
from clipsweep.trials.spec.start import Start


def start_of(clips: Sequence[Clip], card: ModelCard) -> Start:
    """Where a trial of these clips starts, whatever a decoder can reuse."""
    changed = [(layer, role) for layer, role, _ in card.kept_ranks(clips)]
    block = min((layer for layer, _ in changed), default=card.n_layers)
    in_attention = {role in ATTENTION_ROLES for layer, role in changed if layer == block}
    if len(in_attention) != 1:
        return Start(block=block)
    return Start(block=block, reuse=MLP if in_attention == {True} else ATTENTION)
