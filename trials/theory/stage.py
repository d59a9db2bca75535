"""The stage of a trial that measures implicit updates while the demonstrations are read: no pass is made for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.theory.attention import BlockAttention, find_attentions, read_matrix, read_projections
from clipsweep.trials.theory.gradients import Probes, draw_probes, pass_block
from clipsweep.trials.theory.softmax import log_norm_of_softmax
from clipsweep.trials.theory.stopwatch import Stopwatch
from clipsweep.trials.theory.updates import form_update

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
    """Measures the blocks of one pass, each when its keys are about to be computed, so that nothing read is held."""

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
        self._probes = probes
        self._stopwatch = Stopwatch()
        self._delta_w: dict[int, Tensor] = {}
        self._gradient: dict[int, Tensor] = {}
        self._entering: dict[int, Probes] = {}

    def note(self, layer: int, attention: BlockAttention, _module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Measure a block from what its attention reads: ``(1, tokens, width)``, under the weights held now.

        A projection that is called with something else, or a second time, is passed over.
        """
        read = inputs[0] if inputs else None
        if not isinstance(read, Tensor) or read.shape[-1] != attention.k.cols or layer in self._delta_w:
            return
        with self._stopwatch.running(read.device):
            probes = self._probes
            if self._untouched is not None and not self._entering:
                probes = self._untouched.entering.get(layer, probes)
            assert probes is not None, "a block that can be measured comes with probes"
            probes = self._entering[layer] = probes.to(read.device)
            projections = read_projections(self._parameters, attention)
            update = form_update(read.reshape(-1, read.shape[-1]), projections, attention.scale)
            self._delta_w[layer] = update.log_norm()
            self._gradient[layer], self._probes = pass_block(update, probes)
            if layer == self._first:  # G_1 is ΔW_1, whose norm is exact
                self._gradient[layer] = self._delta_w[layer]

    def finished(self, keys: Sequence[Pair | None]) -> Measured:
        """What the pass gave; the model still holds the weights under which it read.

        Args:
            keys: Keys and values of the demonstrations in each block under these weights.
        """
        softmax: dict[int, Tensor] = {}
        for layer in self._delta_w:
            attention, pair = self._attentions[layer], keys[layer]
            if attention is not None and pair is not None and _go_together(attention, pair):
                key_states, value_states = pair[0][0], pair[1][0]
                with self._stopwatch.running(key_states.device):
                    output = read_matrix(self._parameters, attention.o)
                    softmax[layer] = log_norm_of_softmax(key_states, value_states, output, attention.scale)
        before = self._untouched
        return Measured(
            n_layers=len(self._attentions),
            delta_w={**(before.delta_w if before else {}), **self._delta_w},
            delta_w_softmax={**(before.delta_w_softmax if before else {}), **softmax},
            implicit_gradient={**(before.implicit_gradient if before else {}), **self._gradient},
            entering={} if before else self._entering,
            stopwatch=self._stopwatch,
        )


def _go_together(attention: BlockAttention, pair: Pair) -> bool:
    """Whether keys and values ``(1, groups, tokens, size)`` are cut into heads as the output matrix is."""
    _, values = pair
    return attention.heads % values.shape[1] == 0 and values.shape[-1] == attention.value_size
