"""Watch whether a model picks the largest few of something, and of how many."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode


class PickedKeys(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's own is untyped
    """While it is entered, notes along which lengths the largest few entries of tensors are picked.

    Attention that keeps so many keys of a text picks along its length. Where keys are equally large, which of them are
    picked depends on the padding after them.

    Attributes:
        lengths: Of the axes that something was picked from.
    """

    def __init__(self) -> None:
        """Nothing has been noted."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.lengths: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note what is picked from, and compute it."""
        if func.overloadpacket is torch.ops.aten.topk:
            picked_from, count, *more = args
            length = picked_from.shape[more[0] if more else -1]
            if count < length:
                self.lengths.add(length)
        return func(*args, **(kwargs or {}))
