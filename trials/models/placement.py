"""A model on several devices: its blocks in turn, and all else, from the embeddings to the head, on the first.

Blocks that follow each other share a device, so what leaves a block moves only where the next device begins, and once
more from the last block to the head. Nothing but a block's ``forward`` is wrapped; a model on one device is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.errors import ModelError
from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.base.tensors import map_tensors
from clipsweep.trials.models.find_layout import find_layout


def spread(model: PreTrainedModel, devices: Sequence[torch.device]) -> None:
    """Move a model's blocks to several devices, about as many bytes to each, and try it on two tokens.

    Args:
        model: In evaluation mode, on any one device.
        devices: The first holds embeddings, final norm and head as well.

    Raises:
        ModelError: It has fewer blocks than there are devices, no blocks that can be told apart, or its blocks share
            tensors beside what they are called with.
    """
    path = find_layout(model).blocks
    blocks = model.get_submodule(path)
    assert isinstance(blocks, nn.ModuleList)
    if len(blocks) < len(devices):
        raise ModelError(
            f"a {model.config.model_type} model of {len(blocks)} blocks cannot be spread over {len(devices)} devices; "
            f"expected a block or more for each. Lower cluster.gpus_per_replica."
        )
    _move_all_but(model, path, devices[0])
    sizes = [_count_bytes(block) for block in blocks]
    numbers = assign_blocks(sizes, _count_bytes(model) - sum(sizes), len(devices))
    for block, number in zip(blocks, numbers, strict=True):
        block.to(devices[number])
        _run_on(block, devices[number], devices[0] if block is blocks[-1] else None)
    _try_out(model)


def assign_blocks(sizes: Sequence[int], besides: int, n_devices: int) -> list[int]:
    """The number of the device of each block, ascending: all devices hold about as much.

    Args:
        sizes: Bytes of each block, in order; no fewer than devices.
        besides: Bytes that the first device holds besides.
        n_devices: How many devices.
    """
    share = (besides + sum(sizes)) / n_devices
    numbers: list[int] = []
    before = besides
    for index, size in enumerate(sizes):
        wanted = int((before + size / 2) / share)
        least = n_devices - (len(sizes) - index)  # so that as many blocks are left as devices without any
        most = numbers[-1] + 1 if numbers else 0
        numbers.append(min(max(wanted, least), most, n_devices - 1))
        before += size
    return numbers


def device_of(module: nn.Module) -> torch.device:
    """Where a module's parameters are."""
    return next(module.parameters()).device


def devices_of(model: nn.Module) -> list[torch.device]:
    """Every device that holds parameters, in their order."""
    return list(dict.fromkeys(parameter.device for parameter in model.parameters()))


def _count_bytes(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in (*module.parameters(), *module.buffers()))


def _move_all_but(model: nn.Module, path: str, device: torch.device) -> None:
    """Move everything but the list of blocks at ``path``."""
    parent, _, name = path.rpartition(".")
    owner = model.get_submodule(parent)
    blocks = getattr(owner, name)
    setattr(owner, name, nn.ModuleList())
    try:
        model.to(device)
    finally:
        setattr(owner, name, blocks)


def _run_on(block: nn.Module, device: torch.device, answers_on: torch.device | None) -> None:
    """Have a block move what it is called with to its device, and what it answers to ``answers_on`` if given."""
    compute: Callable[..., Any] = block.forward

    @wraps(compute)
    def forward(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _moved((args, kwargs), device)
        answer = compute(*args, **kwargs)
        return answer if answers_on is None else _moved(answer, answers_on)

    block.forward = forward


def _moved(value: Any, device: torch.device) -> Any:
    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device)

    return map_tensors(value, move)


@torch.inference_mode()
def _try_out(model: PreTrainedModel) -> None:
    try:
        model(torch.tensor([[1, 2]], device=model.device))
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"a {model.config.model_type} model cannot be spread over several devices ({error}); expected blocks that "
            f"share nothing but what they are called with. Set cluster.gpus_per_replica: 1."
        ) from error
