"""The passes over the prompts used last, kept for the trials to come."""

from __future__ import annotations

from collections import OrderedDict

import torch

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.out_of_memory import Room
from clipsweep.trials.engine.passes import Passes
from clipsweep.trials.tasks.prompts import Prompts

PROMPTS_KEPT, PROMPTS_MOST = 4, 64  # at least, and as long as there is room: a race comes back to each of its parts


class KeptPasses(Room):
    """Passes by prompts and microbatch size; those used longest ago make room."""

    def __init__(self, store: ActivationStore, budget: Budget, device: torch.device) -> None:
        """Keep none yet.

        Args:
            store: Where the passes keep what they capture.
            budget: Its ``trials_bytes`` are what the prefixes of all passes may take together.
            device: Of the prompts.
        """
        self._store = store
        self._prefix_limit = budget.trials_bytes
        self._device = device
        self._kept: OrderedDict[tuple[int, int], tuple[Prompts, Passes]] = OrderedDict()  # the latest used last

    def of(self, decoder: Decoder, prompts: Prompts, size: int) -> Passes:
        """The passes over these very prompts, in microbatches of ``size``."""
        key = (id(prompts), size)
        if key not in self._kept:
            passes = Passes(decoder, self._store, prompts, size, self._device)
            self._kept[key] = (prompts, passes)  # the prompts are held, so that no others get their id
            while len(self._kept) > PROMPTS_KEPT and self._is_crowded():
                self._forget_passes(next(iter(self._kept)))
        self._kept.move_to_end(key)
        return self._kept[key][1]

    def forget(self, prompts: Prompts) -> None:
        """Give up what is held of these prompts."""
        for key in [key for key, (kept, _) in self._kept.items() if kept is prompts]:
            self._forget_passes(key)

    def forget_others(self, prompts: Prompts) -> bool:
        """Give up what is held of other prompts; False if nothing was."""
        others = [key for key, (kept, _) in self._kept.items() if kept is not prompts]
        for key in others:
            self._forget_passes(key)
        return bool(others)

    def shrink(self) -> bool:
        """Give up half of what was captured on the device, and capture no more than that; False if nothing was."""
        return self._store.shrink()

    def restore(self) -> None:
        """Let captures take their whole budget again."""
        self._store.restore()

    def _forget_passes(self, key: tuple[int, int]) -> None:
        _, passes = self._kept.pop(key)
        passes.forget()

    def _is_crowded(self) -> bool:
        """Whether prompts used before take room that the next ones will want."""
        prefixes = sum(passes.prefix_bytes for _, passes in self._kept.values())
        return len(self._kept) > PROMPTS_MOST or prefixes > self._prefix_limit or self._store.crowded
