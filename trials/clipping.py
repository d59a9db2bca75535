"""Clip a model's weights for the length of a trial, and put them back byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trials.factors import FactorCache
from trials.families import family_of
from trials.model_card import ModelCard
from trials.values import Clip


@contextmanager
def clipped(model: nn.Module, card: ModelCard, clips: Sequence[Clip], factors: FactorCache) -> Iterator[None]:
    """Hold ``model`` with its matrices clipped; on leaving, also by an error, every byte is as before.

    The low-rank matrix is formed in float32 from the factors of the original weights and rounded once to the model's
    dtype. A matrix left at full rank is not touched.
    """
    family = family_of(card.model_type)
    ranks = card.kept_ranks(clips)
    weights = {place: model.get_parameter(family.parameter(*place)) for place in ranks}
    edited = {place: factors.get(weights[place]).low_rank(rank) for place, rank in ranks.items()}
    originals: dict[tuple[int, str], Tensor] = {place: weight.detach().clone() for place, weight in weights.items()}
    try:
        with torch.no_grad():
            for place, weight in weights.items():
                weight.copy_(edited[place])
        yield
    finally:
        with torch.no_grad():
            for place, weight in weights.items():
                weight.copy_(originals[place])
