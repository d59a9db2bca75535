"""Sequences that begin alike, as one: what they have in common is read once, and what follows it branches off.

The model itself says what it calls its blocks with for each sequence by itself; here those arguments are put together
anew, token by token. So positions, windows and biases are the model's own, whatever it makes of them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from clipsweep.trials.base.tensors import map_tensors
from clipsweep.trials.decoder.arguments import Arguments
from clipsweep.trials.decoder.unsupported import NotUnderstood
from clipsweep.trials.prompts.layout import Branches


def lay_together(
    hidden: Tensor, arguments: list[Arguments], branches: Branches, heads: int
) -> tuple[Tensor, list[Arguments]]:
    """Put together what blocks are called with for sequences by themselves: a token attends to its own sequence alone.

    Args:
        hidden: Embeddings of the sequences, ``(sequences, tokens, width)``, padded by one token at least, so that the
            model makes a mask.
        arguments: What the model calls each block with beside them.
        branches: How they lie in rows.
        heads: Of the model's attention.

    Returns:
        The same for rows.

    Raises:
        NotUnderstood: A tensor among them is of a kind that this function does not know.
    """
    if any("attention_mask" in each and each["attention_mask"] is None for each in arguments):
        raise NotUnderstood("its attention has no mask to put together")
    change = partial(_lay, branches=branches, heads=heads)
    laid: list[Any] = map_tensors(arguments, change)
    return change(hidden), laid


def _lay(tensor: Tensor, branches: Branches, heads: int) -> Tensor:
    """One tensor of the arguments, told by its shape."""
    count, tokens = branches.place.shape
    sequence = torch.from_numpy(branches.sequence).to(tensor.device)
    position = torch.from_numpy(branches.position).to(tensor.device)
    if tensor.ndim == 4 and tensor.shape[2] == tokens:  # a mask, (batch, heads, tokens, keys)
        return _lay_mask(tensor.expand(count, -1, -1, -1), sequence, position, branches)
    if tensor.ndim in (2, 3) and tensor.shape[1] == tokens:  # cosines and sines, (batch, tokens, head size); positions
        return tensor.expand(count, *tensor.shape[1:])[sequence, position]
    if tensor.ndim in (3, 4) and tensor[..., 0].numel() == count * heads:  # a bias of the keys, (…, 1, keys)
        bias = tensor.reshape(count, heads, -1)
        before = bias.shape[2] - tokens
        own = bias[sequence, :, before + position].transpose(1, 2)
        laid = torch.cat([bias[sequence[:, 0], :, :before], own], dim=2)[:, :, None]
        return laid if tensor.ndim == 4 else laid.flatten(0, 1)
    raise NotUnderstood(f"a block is called with a tensor of shape {tuple(tensor.shape)}")


def _lay_mask(mask: Tensor, sequence: Tensor, position: Tensor, branches: Branches) -> Tensor:
    """The mask of rows: each token's own row of its sequence's mask, the keys moved to where they lie now."""
    width, before = sequence.shape[1], mask.shape[3] - branches.place.shape[1]
    own = mask[sequence, :, position].transpose(1, 2)  # (rows, heads, width, keys of the sequence)
    unseen = False if mask.dtype == torch.bool else torch.finfo(mask.dtype).min
    laid = own.new_full((*own.shape[:3], before + width + 1), unseen)
    laid[..., :before] = own[..., :before]
    place = torch.from_numpy(branches.place).to(mask.device)[sequence]
    laid.scatter_(3, (before + place)[:, None].expand(*own.shape[:3], -1), own[..., before:])
    return laid[..., :-1]
