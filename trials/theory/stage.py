"""The stage of a trial that measures implicit updates while the demonstrations are read: no pass is made for it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from clipsweep.trials.base.memory import is_out_of_memory
from clipsweep.trials.base.stopwatch import Stopwatch
from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.models.matrices import Layout
from clipsweep.trials.theory.attention import BlockAttention, find_attentions, read_matrix, read_projections
from clipsweep.trials.theory.gradients import Probes, draw_probes, pass_block
from clipsweep.trials.theory.grams import HeldGrams, log_norm_by_grams
from clipsweep.trials.theory.measured import Logs, Measured
from clipsweep.trials.theory.softmax import log_norm_of_softmax, output_products
from clipsweep.trials.theory.updates import Update, form_update

log = logging.getLogger(__name__)


class Stage:
    """A model whose blocks can be measured.

    Attributes:
        parameters: Of the model by name: clips point them at other weights, and keep them.
        attentions: Of each block; None where it cannot be measured. Such a block is passed over: for the blocks after
            it, it is as if the demonstrations changed nothing there.
        grams: Held from pass to pass.
        probes: That enter the first block; None where no block can be measured.
    """

    def __init__(self, model: PreTrainedModel, layout: Layout, room: int) -> None:
        """Find what can be measured.

        Args:
            model: Holds its own weights.
            layout: Where its matrices are.
            room: Bytes that Gram matrices may take on its devices.
        """
        self._model = model
        self.parameters = dict(model.named_parameters())
        self.attentions = find_attentions(model, layout)
        self.grams = HeldGrams(self.parameters, self.attentions, room)
        found = next((each for each in self.attentions if each is not None), None)
        self.probes = None if found is None else draw_probes(found.q.cols)

    @contextmanager
    def reading(self, untouched: Measured | None = None) -> Iterator[Reading]:
        """Inside, what attentions read is measured: one pass over the demonstrations, from some block to the last.

        Args:
            untouched: Of the model without clips; None where that is what is read.
        """
        reading = Reading(self, untouched)
        with ExitStack() as stack:
            for layer, attention in enumerate(self.attentions):
                if attention is not None:
                    owner = self._model.get_submodule(attention.k.owner)
                    handle = owner.register_forward_pre_hook(partial(reading.note, layer, attention))
                    stack.callback(handle.remove)
            yield reading


class Reading:
    """Measures the blocks of one pass, each when its keys are about to be computed, so that nothing read is held.

    A block takes few bytes where its Gram matrices are held, which the untouched model's pass forms; otherwise a matrix
    as large as its queries' in float32, and pieces of others. Where there is no memory for that the Gram matrices of
    all blocks are given up. If it is still not enough, the block has no numbers, those after it have no implicit
    gradients, and the trial goes on.

    Blocks whose norms Gram matrices lose are measured whole at the end, so that a GPU is waited for once; until then
    the cores of all blocks are held, each of the width times the entries of a head.
    """

    def __init__(self, stage: Stage, untouched: Measured | None) -> None:
        """Nothing is read yet; ``untouched`` as in ``Stage.reading``."""
        self._stage = stage
        self._untouched = untouched
        self._forms_grams = untouched is None
        self._probes = stage.probes  # that enter the next block; None where they are lost
        self._stopwatch = Stopwatch()
        self._seen: set[int] = set()  # blocks that were read, be they measured or not
        self._delta_w: dict[int, Tensor] = {}
        self._gradient: dict[int, Tensor] = {}
        self._entering: dict[int, Probes] = {}
        self._by_grams: dict[int, tuple[Update, Tensor]] = {}  # with whether the norm is to be relied on
        self._ran_out = untouched is not None and untouched.ran_out

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
        if not self._within_memory(read.device, partial(self._measure_linear, layer, attention, read)):
            self._probes = None

    def _measure_linear(self, layer: int, attention: BlockAttention, read: Tensor) -> None:
        """Measure a block's update and implicit gradient."""
        stage, probes = self._stage, self._probes
        if probes is not None:
            probes = self._entering[layer] = probes.to(read.device)
        projections = read_projections(stage.parameters, attention)
        update = form_update(read.reshape(-1, read.shape[-1]), projections, attention.scale)
        if self._forms_grams:
            stage.grams.form(attention)
        outer, queries = map(stage.grams.of, (attention.o, attention.q))
        has_digits = None
        if outer is None or queries is None:
            norm = update.log_norm()
        else:
            norm, has_digits = log_norm_by_grams(update.core, outer, queries)
        if probes is not None:
            gradient, self._probes = pass_block(update, probes)
            self._gradient[layer] = norm if self._is_first(layer) else gradient
        self._delta_w[layer] = norm
        if has_digits is not None:
            self._by_grams[layer] = update, has_digits

    def _is_first(self, layer: int) -> bool:
        """Whether a block is the first that can be measured: its G is its ΔW, whose norm is exact."""
        return not any(self._stage.attentions[:layer])

    def _measure_again(self) -> None:
        """Measure whole the updates whose norms Gram matrices have lost; where memory runs out they have none."""
        for layer, (update, has_digits) in self._by_grams.items():
            if not has_digits:
                del self._delta_w[layer]
                had_gradient = self._is_first(layer) and self._gradient.pop(layer, None) is not None
                self._within_memory(update.core.device, partial(self._measure_whole, layer, update, had_gradient))
        self._by_grams.clear()

    def _measure_whole(self, layer: int, update: Update, is_gradient: bool) -> None:
        """Measure a block's update again, which may be its implicit gradient too."""
        self._delta_w[layer] = update.log_norm()
        if is_gradient:
            self._gradient[layer] = self._delta_w[layer]

    def finished(self, keys: Sequence[Pair | None]) -> Measured:
        """What the pass gave; the model still holds the weights under which it read.

        Args:
            keys: Keys and values of the demonstrations in each block under these weights.
        """
        self._measure_again()
        softmax: dict[int, Tensor] = {}
        for layer in self._delta_w:
            attention, pair = self._stage.attentions[layer], keys[layer]
            if attention is not None and pair is not None and _go_together(attention, pair):
                self._within_memory(pair[0].device, partial(self._measure_softmax, softmax, layer, attention, pair))
        before = self._untouched
        return Measured(
            n_layers=len(keys),
            delta_w=self._after({} if before is None else before.delta_w, self._delta_w),
            delta_w_softmax=self._after({} if before is None else before.delta_w_softmax, softmax),
            implicit_gradient=self._after({} if before is None else before.implicit_gradient, self._gradient),
            entering={} if before else self._entering,
            ran_out=self._ran_out,
            stopwatch=self._stopwatch,
        )

    def _measure_softmax(self, into: dict[int, Tensor], layer: int, attention: BlockAttention, pair: Pair) -> None:
        """Measure a block's update in feature space from its keys and values."""
        keys, values = pair[0][0], pair[1][0]
        gram = self._stage.grams.of(attention.o)
        if gram is None:
            products = output_products(read_matrix(self._stage.parameters, attention.o), *values.shape[::2])
        else:
            products = gram.of_groups(len(values))
        into[layer] = log_norm_of_softmax(keys, values, products, attention.scale)

    def _after(self, before: Logs, found: Logs) -> Logs:
        """What was found here, and of the blocks that were not read here what was known before."""
        return {layer: log for layer, log in before.items() if layer not in self._seen} | {**found}

    def _within_memory(self, device: torch.device, measure: Callable[[], None]) -> bool:
        """Measure something, without Gram matrices where memory runs out; False where it runs out again."""
        while True:
            with self._stopwatch.running(device):
                try:
                    measure()
                    return True
                except RuntimeError as error:  # torch.OutOfMemoryError is one
                    if not is_out_of_memory(error):
                        raise
            torch.cuda.empty_cache()
            could_form, self._forms_grams = self._forms_grams, False
            if not self._stage.grams.give_up() and not could_form:
                _say_out_of_memory()
                self._ran_out = True
                return False


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
