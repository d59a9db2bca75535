"""What a model calls its blocks with, cut down to the positions that count."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from clipsweep.trials.base.tensors import map_tensors
from clipsweep.trials.decoder.unsupported import NotUnderstood

Arguments = dict[str, Any]  # by name, besides the hidden state


def take(hidden: Tensor, positions: Tensor) -> Tensor:
    """Rows of ``hidden`` ``(batch, tokens, width)`` at ``positions`` ``(batch, n)``: shape ``(batch, n, width)``."""
    sequences = torch.arange(len(hidden), device=hidden.device)
    return hidden[sequences[:, None], positions.to(hidden.device)]


def trim(arguments: Arguments, positions: Tensor, width: int, *, causal_on: torch.device | None = None) -> Arguments:
    """Arguments of a block for some positions of each sequence instead of all ``width``.

    Args:
        arguments: As the model calls the block with.
        positions: Shape ``(batch, n)``.
        width: Tokens of each sequence.
        causal_on: The block's device, if it attends to all tokens up to each where it is called with no mask, and takes
            a mask that says so; else None.

    Raises:
        NotUnderstood: A tensor among them is of a kind that this function does not know.
    """
    if width == 1:
        return arguments
    has_no_mask = "attention_mask" in arguments and arguments["attention_mask"] is None
    if has_no_mask and positions.shape[1] > 1:
        if causal_on is None:
            raise NotUnderstood("its attention has no mask to cut rows from")
        mask = torch.ones(1, 1, width, width, dtype=torch.bool, device=causal_on).tril()
        arguments = {**arguments, "attention_mask": mask}
    cut = partial(_cut, positions=positions, width=width)
    return {name: map_tensors(value, cut) for name, value in arguments.items()}


def _cut(tensor: Tensor, positions: Tensor, width: int) -> Tensor:
    """One tensor of the arguments, told by its shape."""
    chosen = positions.to(tensor.device)
    batch = len(chosen)
    if tensor.ndim == 4 and tensor.shape[2] == width:  # a mask, (batch, heads, tokens, keys)
        index = chosen[:, None, :, None].expand(-1, tensor.shape[1], -1, tensor.shape[3])
        return tensor.expand(batch, -1, -1, -1).gather(2, index)
    if tensor.ndim == 3 and tensor.shape[1] == width:  # cosines and sines, (batch, tokens, head size)
        return take(tensor.expand(batch, -1, -1), chosen)
    if tensor.ndim == 2 and tensor.shape[1] == width:  # position ids
        return tensor.expand(batch, -1).gather(1, chosen)
    if tensor.ndim >= 3 and tensor.shape[-2] == 1:  # a bias of the keys alone, the same for all tokens
        return tensor
    raise NotUnderstood(f"a block is called with a tensor of shape {tuple(tensor.shape)}")
