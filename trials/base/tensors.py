"""Tensors inside nested values: change each, and count their bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Apply ``change`` to every tensor inside nested tuples, lists and dicts; a tensor met twice is changed once."""
    done: dict[int, Tensor] = {}

    def visit(item: Any) -> Any:
        if isinstance(item, Tensor):
            if id(item) not in done:
                done[id(item)] = change(item)
            return done[id(item)]
        if isinstance(item, dict):
            return {key: visit(each) for key, each in item.items()}
        if isinstance(item, (tuple, list)):
            return type(item)(visit(each) for each in item)
        return item

    return visit(value)


def count_bytes(value: Any) -> int:
    """Bytes of all tensors inside ``value``; views count as what they show, shared tensors once."""
    sizes: list[int] = []

    def note(tensor: Tensor) -> Tensor:
        stored = tensor.untyped_storage().nbytes()
        sizes.append(min(stored, tensor.numel() * tensor.element_size()))
        return tensor

    map_tensors(value, note)
    return sum(sizes)
