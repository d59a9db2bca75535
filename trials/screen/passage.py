"""A pass of the untouched model that keeps what enters each block."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.decoder.arguments import Arguments
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.prefix_cache import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """Sequences on their way through the blocks.

    Attributes:
        arguments: What the model calls each block with.
        entering: What enters each block, shape ``(batch, tokens, width)``, and what leaves the last one.
        keys: Keys and values of each block; None where they are not kept, or where it hands none to the cache.
    """

    arguments: list[Arguments]
    entering: list[Tensor]
    keys: list[Pair | None]

    @property
    def length(self) -> int:
        """Tokens of each sequence, padding included."""
        return self.entering[0].shape[1]


@torch.no_grad()
def run_through(
    decoder: Decoder, ids: Tensor, mask: Tensor | None, prefix: Passage | None, *, keep_keys: bool = False
) -> Passage:
    """Read sequences.

    Args:
        decoder: The model, with its own weights.
        ids: Shape ``(batch, tokens)``, right-padded.
        mask: As ``Decoder.open`` takes it.
        prefix: Read before; None where nothing comes before the sequences.
        keep_keys: Whether others will come after these.
    """
    before = [None] * decoder.n_layers if prefix is None else prefix.keys
    decoder.keys.hold(before, 0 if prefix is None else prefix.length)
    opened = decoder.open(ids, mask)
    entering = [opened.hidden]
    keys: list[Pair | None] = []
    for layer, arguments in enumerate(opened.arguments):
        decoder.keys.seen = None
        entering.append(decoder.block(layer, entering[-1], arguments))
        keys.append(decoder.keys.seen if keep_keys else None)
    return Passage(arguments=opened.arguments, entering=entering, keys=keys)
