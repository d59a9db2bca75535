"""What is given up, step by step, when a device's memory runs out in the middle of an evaluation."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.prompts.prompts import Prompts

SHRINKS = 3  # times that the captured activations give up half of their room before trials run one by one
TrialT = TypeVar("TrialT")
ResultT = TypeVar("ResultT")
log = logging.getLogger(__name__)


class Room(ABC):
    """What an engine holds besides its model, and can do without."""

    @abstractmethod
    def forget_trials(self) -> bool:
        """Give up what is kept for the next parts of trials, and for their theory; False if nothing was.

        Trials may keep such things again at once; for their theory nothing is held until ``restore``.
        """

    @abstractmethod
    def forget_others(self, prompts: Prompts) -> bool:
        """Give up what is held of other prompts; False if nothing was."""

    @abstractmethod
    def forget(self, prompts: Prompts) -> None:
        """Give up what is held of these prompts."""

    @abstractmethod
    def shrink(self) -> bool:
        """Give up half of the captured activations, and hold no more than that; False if there are none."""

    @abstractmethod
    def restore(self) -> None:
        """Let captured activations take their whole budget again, and what is held for the theory be held."""


class Retreat:
    """Evaluates again with less, whenever memory runs out. Each step is told in the log.

    The steps, in this order:

    1. what is kept for the next parts of trials, and for their theory, is given up, once: trials may keep it again;
    2. what is held of other prompts is given up;
    3. the captured activations give up half of their room, ``SHRINKS`` times at most;
    4. trials run one by one;
    5. the microbatch is halved, and stays so for these prompts. What was captured at the larger size is of no use any
       more, so it goes, and captured activations have their whole budget again.

    A single query that still does not fit takes all room from captured activations. If that is not enough either, its
    trial has failed.

    Room is lent, not lost: with other prompts captured activations have their whole budget again.

    Attributes:
        n_halvings: How often the microbatch was halved.
    """

    def __init__(self, room: Room) -> None:
        """Nothing has been given up yet."""
        self.n_halvings = 0
        self._room = room
        self._prompts: Prompts | None = None  # those evaluated last
        self._shrinks = 0  # since room was last restored
        self._forgot = False  # what is kept of trials, since these began, or the microbatch was halved
        self._fitting: dict[int, tuple[Prompts, int]] = {}  # microbatches that fit where the one asked for did not

    def evaluate(
        self,
        attempt: Callable[[Sequence[TrialT], int], list[ResultT]],
        prompts: Prompts,
        trials: Sequence[TrialT],
        microbatch: int,
    ) -> list[ResultT | EvaluationError]:
        """Evaluate trials, giving up more and more until they fit.

        Args:
            attempt: Evaluates these trials at this microbatch; called again after each step.
            prompts: What the trials read.
            trials: In the order of the results.
            microbatch: Queries of one pass, if memory allows.

        Returns:
            What ``attempt`` gives; for a trial of which not even one query fits, an error.
        """
        if self._prompts is None or prompts.whole != self._prompts.whole:
            self._prompts = prompts
            self._restore()
        _, fitting = self._fitting.get(prompts.whole, (prompts, microbatch))
        size = min(microbatch, fitting)
        self._forgot = False
        while True:
            try:
                return [*attempt(trials, size)]
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not is_out_of_memory(error):
                    raise
                reason = str(error).splitlines()[0]
            torch.cuda.empty_cache()
            alone = len(trials) == 1
            if self._gives_up(prompts, everything=alone and size == 1):
                continue
            if not alone:
                log.warning("out of memory with %d trials at once; they run one by one", len(trials))
                results: list[ResultT | EvaluationError] = []
                for trial in trials:
                    (result,) = self.evaluate(attempt, prompts, [trial], size)
                    results.append(result)
                return results
            if size == 1:
                return [EvaluationError(f"a microbatch of one does not fit in the device's memory ({reason}).")]
            size = self._halve(prompts, size)

    def _halve(self, prompts: Prompts, size: int) -> int:
        """Half the microbatch, which these prompts keep from now on."""
        half = size // 2
        self.n_halvings += 1
        self._forgot = False
        self._fitting[prompts.whole] = prompts, half  # they are held, so that no others get their number
        self._room.forget(prompts)
        self._restore()
        log.warning("out of memory; the microbatch is now %d", half)
        return half

    def _gives_up(self, prompts: Prompts, *, everything: bool) -> bool:
        """Take the first step that makes room without changing how trials run; False if there is none left."""
        if self._room.forget_trials() and not self._forgot:
            self._forgot = True
            log.warning("out of memory; what was kept for the next parts of trials, and for their theory, is given up")
            return True
        if self._room.forget_others(prompts):
            log.warning("out of memory; what was held of other prompts is given up")
            return True
        if (everything or self._shrinks < SHRINKS) and self._room.shrink():
            self._shrinks += 1
            log.warning("out of memory; captured activations give up half of their room")
            return True
        return False

    def _restore(self) -> None:
        self._shrinks = 0
        self._room.restore()
