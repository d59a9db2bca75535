"""The passes over the prompts used last, and what trials have formed and read, kept for the parts to come."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace

import torch

from clipsweep.trials.base.budget import Budget
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.microbatches import plan_microbatches
from clipsweep.trials.engine.out_of_memory import Room
from clipsweep.trials.engine.passes import Downstream, Passes
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.resolved import Fingerprint
from clipsweep.trials.theory.stage import Stage

PROMPTS_KEPT, PROMPTS_MOST = 4, 16  # at least, and as long as there is room
TrialKey = tuple[Passes, Fingerprint]


class KeptTrials:
    """What trials of a race have formed and read, for their next part; the one used longest ago makes room.

    Attributes:
        n_bytes: Held.
    """

    def __init__(self, limit: int) -> None:
        """Keep none yet, and later no more than ``limit`` bytes."""
        self.n_bytes = 0
        self._limit = limit
        self._kept: OrderedDict[TrialKey, Downstream] = OrderedDict()  # the latest last

    def take(self, key: TrialKey) -> Downstream | None:
        """What is kept of a trial, which is no longer held here; None where nothing is."""
        trial = self._kept.pop(key, None)
        if trial is not None:
            self.n_bytes -= trial.size
        return trial

    def put(self, key: TrialKey, trial: Downstream) -> None:
        """Keep it, if it fits by itself."""
        self.take(key)
        if trial.size <= self._limit:
            self.make_room(trial.size)
            self._kept[key] = trial
            self.n_bytes += trial.size

    def make_room(self, n_bytes: int) -> None:
        """Hold no more than leaves so many bytes of the limit free."""
        while self._kept and self.n_bytes + n_bytes > self._limit:
            self.take(next(iter(self._kept)))

    def drop(self, matches: Callable[[Passes], bool] = lambda _: True) -> bool:
        """Drop the trials over the passes that ``matches`` picks; False if there were none."""
        dropped = [key for key in self._kept if matches(key[0])]
        for key in dropped:
            self.take(key)
        return bool(dropped)


class KeptPasses(Room):
    """Passes by prompts and microbatch size; those used longest ago make room.

    Attributes:
        trials: What is kept for the next parts of trials over them.
    """

    def __init__(
        self, store: ActivationStore, budget: Budget, device: torch.device, stage: Stage | None = None
    ) -> None:
        """Keep none yet.

        Args:
            store: Where the passes keep what they capture.
            budget: Its ``trials_bytes`` are what the prefixes of all passes may take together, and what the trials
                that run may, with those that are kept for their next part.
            device: Of the prompts.
            stage: Measures what demonstrations do by the paper's theory; None where that is not asked for.
        """
        self.trials = KeptTrials(budget.trials_bytes)
        self._store = store
        self._prefix_limit = budget.trials_bytes
        self._device = device
        self._stage = stage
        self._kept: OrderedDict[tuple[int, int], tuple[Prompts, Passes]] = OrderedDict()  # the latest used last

    def of(self, decoder: Decoder, prompts: Prompts, size: int) -> Passes:
        """The passes over these very prompts, or the whole that they are a part of, in microbatches of ``size``."""
        key = (prompts.whole, size)
        if key not in self._kept:
            microbatches = plan_microbatches(replace(prompts, rows=None), size, branches=decoder.branches)
            passes = Passes(decoder, self._store, prompts, microbatches, self._device, self._stage)
            self._kept[key] = (prompts, passes)  # the prompts are held, so that no others get their number
            while len(self._kept) > PROMPTS_KEPT and self._is_crowded():
                self._forget_passes(next(iter(self._kept)))
        self._kept.move_to_end(key)
        return self._kept[key][1]

    def forget(self, prompts: Prompts) -> None:
        """Give up what is held of these prompts."""
        for key in [key for key, (kept, _) in self._kept.items() if kept.whole == prompts.whole]:
            self._forget_passes(key)

    def forget_others(self, prompts: Prompts) -> bool:
        """Give up what is held of other prompts; False if nothing was."""
        others = [key for key, (kept, _) in self._kept.items() if kept.whole != prompts.whole]
        for key in others:
            self._forget_passes(key)
        return bool(others)

    def forget_all(self) -> None:
        """Give up what is held of any prompts and trials, and Gram matrices, which may be formed again."""
        self.forget_trials()
        for key in list(self._kept):
            self._forget_passes(key)
        self._restore_grams()

    def forget_trials(self) -> bool:
        """Give up what is kept for the next parts of trials, and Gram matrices of the theory; False if nothing was.

        None of these is formed until ``restore``, and then when prompts are read that are not held here.
        """
        grams = self._stage is not None and self._stage.grams.give_up()
        return self.trials.drop() or grams

    def shrink(self) -> bool:
        """Give up half of what was captured on the device, and capture no more than that; False if nothing was."""
        return self._store.shrink()

    def restore(self) -> None:
        """Let captures take their whole budget again, and Gram matrices be formed."""
        self._store.restore()
        self._restore_grams()

    def _restore_grams(self) -> None:
        if self._stage is not None:
            self._stage.grams.restore()

    def _forget_passes(self, key: tuple[int, int]) -> None:
        _, passes = self._kept.pop(key)
        passes.forget()
        self.trials.drop(lambda each: each is passes)

    def _is_crowded(self) -> bool:
        """Whether prompts used before take room that the next ones will want."""
        prefixes = sum(passes.prefix_bytes for _, passes in self._kept.values())
        return len(self._kept) > PROMPTS_MOST or prefixes > self._prefix_limit or self._store.crowded
