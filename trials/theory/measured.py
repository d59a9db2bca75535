"""What one reading of the demonstrations gave, still on the model's devices."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.base.stopwatch import Stopwatch
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.theory.gradients import Probes

Logs = Mapping[int, Tensor]  # by block, each a scalar on its block's device


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What one reading of the demonstrations gave, still on the model's devices.

    Attributes:
        n_layers: Blocks of the model.
        delta_w: Natural logs of norms, as ``ImplicitNorms`` has them; of the blocks that could be measured.
        delta_w_softmax: The same.
        implicit_gradient: The same.
        entering: The probes that enter those blocks.
        ran_out: Whether a number is missing because memory ran out, here or under the untouched model.
        stopwatch: What measuring took.
    """

    n_layers: int
    delta_w: Logs
    delta_w_softmax: Logs
    implicit_gradient: Logs
    entering: Mapping[int, Probes]
    ran_out: bool = False
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def size(self) -> int:
        """Bytes of the probes."""
        return sum(probes.columns.nbytes for probes in self.entering.values())

    def again(self) -> Measured:
        """The same for a trial that leaves all of it as it is, and takes no time to say so."""
        return replace(self, stopwatch=Stopwatch())

    def check(self) -> None:
        """Refuse what lacks a number for which there may be memory another time.

        Raises:
            EvaluationError: Memory ran out.
        """
        if self.ran_out:
            raise EvaluationError("memory ran out while what the demonstrations do was measured.")

    def norms(self) -> ImplicitNorms:
        """The same as numbers; waits for a GPU that is not done."""
        return ImplicitNorms(
            delta_w=self._numbers(self.delta_w),
            delta_w_softmax=self._numbers(self.delta_w_softmax),
            implicit_gradient=self._numbers(self.implicit_gradient),
            seconds=self.stopwatch.seconds(),
        )

    def _numbers(self, logs: Logs) -> tuple[float | None, ...]:
        """One for each block; None where it was not measured, or where its activations are not finite."""
        found = {layer: float(log) for layer, log in logs.items()}
        return tuple(
            None if math.isnan(found.get(layer, math.nan)) or found[layer] == math.inf else found[layer]
            for layer in range(self.n_layers)
        )
