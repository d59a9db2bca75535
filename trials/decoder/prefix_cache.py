"""Keys and values of the shared prefix, in the form that the blocks of transformers ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from clipsweep.trials.decoder.unsupported import NotUnderstood

Pair = tuple[Tensor, Tensor]  # keys and values, each (batch, heads, tokens, head size)


class KeysReady(Exception):  # noqa: N818 - not an error: it ends a block's forward once its keys and values are known
    """Raised inside an attention module whose keys and values were all that was wanted."""


class Mode(Enum):
    """What a layer does when its attention module hands over keys and values."""

    EXTEND = "put the prefix before them"
    KEEP = "keep the whole, and end the block"
    ANSWER = "ignore them: the whole was kept before"


class _Layer(DynamicLayer):  # type: ignore[misc]  # transformers is untyped to us
    """One block's share of a ``KeyValues``."""

    def __init__(self, owner: KeyValues) -> None:
        super().__init__()
        self._owner = owner
        self.prefix: Pair | None = None
        self.kept: Pair | None = None

    def get_seq_length(self) -> int:
        """Tokens of the prefix; what the model builds positions and masks from."""
        return self._owner.length

    def update(self, key_states: Tensor, value_states: Tensor, *_args: Any, **_kwargs: Any) -> Pair:
        """Keys and values that the new tokens attend to, the prefix first.

        Raises:
            KeysReady: They were all that was wanted.
            NotUnderstood: The block asks for keys that it did not hand over before, or hands over other than four axes.
        """
        if self._owner.mode is Mode.ANSWER:
            if self.kept is None:
                raise NotUnderstood("a block attends to keys that it did not hand to the cache")
            return self.kept
        if key_states.ndim != 4 or value_states.ndim != 4:
            raise NotUnderstood(f"a block hands keys of shape {tuple(key_states.shape)} to the cache")
        if self.prefix is not None:
            key_states = self._owner.extend(0, self.prefix[0], key_states)
            value_states = self._owner.extend(1, self.prefix[1], value_states)
        self._owner.seen = key_states, value_states
        if self._owner.mode is Mode.KEEP:
            self.kept = key_states, value_states
            raise KeysReady
        return key_states, value_states


class KeyValues(Cache):  # type: ignore[misc]  # the same
    """A cache that no forward pass changes: many microbatches read the same prefix, which is not copied for them.

    Sliding windows are the mask's work: every layer holds the whole prefix.

    Attributes:
        length: Tokens of the prefix.
        mode: What happens at the next call.
        seen: Keys and values that the last attention module attended to, each ``(batch, heads, tokens, head size)``.
    """

    def __init__(self, n_layers: int) -> None:
        self.length = 0
        self.mode = Mode.EXTEND
        self.seen: Pair | None = None
        self._scratch: dict[tuple[int, torch.device], Tensor] = {}
        super().__init__(layers=[_Layer(self) for _ in range(n_layers)])

    def hold(self, prefix: Sequence[Pair | None], length: int) -> None:
        """Serve these keys and values from now on.

        Args:
            prefix: For each layer ``(1, heads, length, head size)`` twice; None where the layer will not be asked.
            length: Tokens of the prefix; 0 for none.
        """
        self.length = length
        self.mode = Mode.EXTEND
        for layer, pair in zip(self.layers, prefix, strict=True):
            layer.prefix = pair if length else None
            layer.kept = None

    def extend(self, which: int, stored: Tensor, new: Tensor) -> Tensor:
        """The prefix's keys (0) or values (1), then the new ones, for each sequence of a batch.

        In inference mode they lie in memory that the next call writes over: a block is done with them by then. New
        memory each time costs more than the copy (measured: half of the time of a pass on a CPU). Elsewhere gradients
        may flow through them, so that they are new.
        """
        batch, heads, tokens, size = new.shape
        if not torch.is_inference_mode_enabled():
            return torch.cat([stored.expand(batch, -1, -1, -1), new], dim=-2)
        before = stored.shape[-2]
        count = batch * heads * (before + tokens) * size
        key = which, new.device
        scratch = self._scratch.get(key)
        if scratch is None or scratch.numel() < count or scratch.dtype != new.dtype:
            scratch = self._scratch[key] = torch.empty(count, dtype=new.dtype, device=new.device)
        whole = scratch[:count].view(batch, heads, before + tokens, size)
        whole[:, :, :before] = stored
        whole[:, :, before:] = new
        return whole
