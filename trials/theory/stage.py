"""The stage of a trial that measures implicit updates while the demonstrations are read: no pass is made for it."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.theory.attention import BlockAttention, find_attentions, read_matrix, read_projections
from clipsweep.trials.theory.gradients import Probes, draw_probes, pass_block
from clipsweep.trials.theory.softmax import log_norm_of_softmax
from clipsweep.trials.theory.stopwatch import Stopwatch
from clipsweep.trials.theory.updates import form_update

log = logging.getLogger(__name__)
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
        stopwatch: What measuring took.
    """

    n_layers: int
    delta_w: Logs
    delta_w_softmax: Logs
    implicit_gradient: Logs
    entering: Mapping[int, Probes]
    stopwatch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def size(self) -> int:
        """Bytes of the probes."""
        return sum(probes.columns.nbytes for probes in self.entering.values())

    def again(self) -> Measured:
        """The same for a trial that leaves all of it as it is, and takes no time to say so."""
        return replace(self, stopwatch=Stopwatch())

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


class Stage:
    """A model whose blocks can be measured.

    Attributes:
        attentions: Of each block; None where it cannot be measured. Such a block is passed over: for the blocks after
            it, it is as if the demonstrations changed nothing there.
    """

    def __init__(self, model: PreTrainedModel, layout: Layout) -> None:
        """Find what can be measured."""
        self._model = model
        self._parameters = dict(model.named_parameters())  # clips point them at other weights, and keep them
        self.attentions = find_attentions(model, layout)
        found = next((each for each in self.attentions if each is not None), None)
        self._probes = None if found is None else draw_probes(found.q.cols)

    @contextmanager
    def reading(self, untouched: Measured | None = None) -> Iterator[Reading]:
        """Inside, what attentions read is measured: one pass over the demonstrations, from some block to the last.

        Args:
            untouched: Of the model without clips; None where that is what is read.
        """
        reading = Reading(self._parameters, self.attentions, self._probes, untouched)
        with ExitStack() as stack:
            for layer, attention in enumerate(self.attentions):
                if attention is not None:
                    owner = self._model.get_submodule(attention.k.owner)
                    handle = owner.register_forward_pre_hook(partial(reading.note, layer, attention))
                    stack.callback(handle.remove)
            yield reading


class Reading:
    """Measures the blocks of one pass, each when its keys are about to be computed, so that nothing read is held.

    Besides the model's own matrices a block takes one as large as its queries' in float32, and pieces of others. Where
    there is no memory for that the block has no numbers, those after it have no implicit gradients, and the trial goes
    on.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        attentions: Sequence[BlockAttention | None],
        probes: Probes | None,
        untouched: Measured | None,
    ) -> None:
        """Nothing is read yet; arguments as in ``Stage``."""
        self._parameters = parameters
        self._attentions = attentions
        self._first = next((layer for layer, each in enumerate(attentions) if each is not None), None)
        self._untouched = untouched
        self._probes = probes  # that enter the next block; None where they are lost
        self._stopwatch = Stopwatch()
        self._seen: set[int] = set()  # blocks that were read, be they measured or not
        self._delta_w: dict[int, Tensor] = {}
        self._gradient: dict[int, Tensor] = {}
        self._entering: dict[int, Probes] = {}

    def note(self, layer: int, attention: BlockAttention, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Measure a block from what its attention reads: ``(1, tokens, width)``, under the weights held now.

        A projection that is called with something else, or a second time, is passed over.
        """
        read = inputs[0] if inputs else None
        if not isinstance(read, Tensor) or read.shape[-1] != attention.k.cols or layer in self._seen:
            return
        if self._untouched is not None and not self._seen:
            self._probes = self._untouched.entering.get(layer)
        self._seen.add(layer)
        self._within_memory(read.device, partial(self._measure_linear, layer, attention, read))

    def _measure_linear(self, layer: int, attention: BlockAttention, read: Tensor) -> None:
        """Measure a block's update and implicit gradient; where the first fails, the probes are lost."""
        probes, self._probes = self._probes, None
        if probes is not None:
            probes = self._entering[layer] = probes.to(read.device)
        projections = read_projections(self._parameters, attention)
        update = form_update(read.reshape(-1, read.shape[-1]), projections, attention.scale)
        norm = update.log_norm()
        if probes is not None:
            gradient, self._probes = pass_block(update, probes)
            self._gradient[layer] = norm if layer == self._first else gradient  # G_1 is ΔW_1, whose norm is exact
        self._delta_w[layer] = norm

    def finished(self, keys: Sequence[Pair | None]) -> Measured:
        """What the pass gave; the model still holds the weights under which it read.

        Args:
            keys: Keys and values of the demonstrations in each block under these weights.
        """
        softmax: dict[int, Tensor] = {}
        for layer in self._delta_w:
            attention, pair = self._attentions[layer], keys[layer]
            if attention is not None and pair is not None and _go_together(attention, pair):
                self._within_memory(pair[0].device, partial(self._measure_softmax, softmax, layer, attention, pair))
        before = self._untouched
        return Measured(
            n_layers=len(self._attentions),
            delta_w=self._after({} if before is None else before.delta_w, self._delta_w),
            delta_w_softmax=self._after({} if before is None else before.delta_w_softmax, softmax),
            implicit_gradient=self._after({} if before is None else before.implicit_gradient, self._gradient),
            entering={} if before else self._entering,
            stopwatch=self._stopwatch,
        )

    def _measure_softmax(self, into: dict[int, Tensor], layer: int, attention: BlockAttention, pair: Pair) -> None:
        """Measure a block's update in feature space from its keys and values."""
        output = read_matrix(self._parameters, attention.o)
        into[layer] = log_norm_of_softmax(pair[0][0], pair[1][0], output, attention.scale)

    def _after(self, before: Logs, found: Logs) -> Logs:
        """What was found here, and of the blocks that were not read here what was known before."""
        return {layer: log for layer, log in before.items() if layer not in self._seen} | {**found}

    def _within_memory(self, device: torch.device, measure: Callable[[], None]) -> None:
        """Measure something; where memory runs out it has no number, as the trial goes on without."""
        with self._stopwatch.running(device):
            try:
                measure()
                return
            except RuntimeError as error:  # torch.OutOfMemoryError is one
                if not is_out_of_memory(error):
                    raise
        torch.cuda.empty_cache()
        _say_out_of_memory()


def _go_together(attention: BlockAttention, pair: Pair) -> bool:
    """Whether keys and values ``(1, groups, tokens, size)`` are cut into heads as the output matrix is."""
    _, values = pair
    return attention.heads % values.shape[1] == 0 and values.shape[-1] == attention.value_size


@cache
def _say_out_of_memory() -> None:
    log.warning(
        "out of memory while the theory was measured; where that happens a block has no numbers, and those after it "
        "have no implicit gradients. Scores stay as they are. Take a device with more memory to have these numbers"
    )
