"""Passes over the prompts of one split: of the untouched model once, of each trial from its start on."""

from __future__ import annotations

import logging
from bisect import bisect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from clipsweep.trials.base.stopwatch import Stopwatch
from clipsweep.trials.base.tensors import count_bytes
from clipsweep.trials.decoder.arguments import Arguments, trim
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.decoder.unsupported import NotUnderstood
from clipsweep.trials.decoder.walk import ANSWERS, HIDDEN, Capture, Captured, Door, Walk
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.cost import Extent, extents_of
from clipsweep.trials.engine.label_readings import pad, plan_readings
from clipsweep.trials.engine.microbatches import Microbatch
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.modules import ATTENTION, MLP
from clipsweep.trials.spec.start import Start
from clipsweep.trials.theory.measured import Measured
from clipsweep.trials.theory.stage import Stage

log = logging.getLogger(__name__)
PREFIX = -1  # stands where the number of a microbatch does
DOOR = Capture(0, "door")  # embeddings and arguments, which every pass needs


class ReadPrefix(NamedTuple):
    """What reading the prefix under some weights gives.

    Attributes:
        keys: Keys and values of each block.
        measured: What the demonstrations do by the paper's theory; None where that is not measured.
    """

    keys: tuple[Pair | None, ...]
    measured: Measured | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Downstream:
    """What a trial changes.

    Attributes:
        start: Where it starts.
        weights: Parameters that it replaces, by name.
        prefix: What reading the prefix under these weights gave.
        size: Bytes of the weights, and of those keys and values that are not the untouched model's.
    """

    start: Start
    weights: Mapping[str, Tensor]
    prefix: ReadPrefix
    size: int


class Passes:
    """Prompts cut into microbatches, their prefix read once, and captures of the untouched model for trials to come.

    All parts of a split are ranges of one such pass.

    Attributes:
        readings: For each microbatch, where its scores are read from.
        keys: Keys and values of the prefix under the untouched model, for each block.
    """

    def __init__(
        self,
        decoder: Decoder,
        store: ActivationStore,
        prompts: Prompts,
        microbatches: Iterable[Microbatch],
        device: torch.device,
        stage: Stage | None = None,
    ) -> None:
        """Take the microbatches of the whole split, and what measures their demonstrations; nothing runs yet."""
        self._decoder = decoder
        self._store = store
        self._device = device
        self._prefix = prompts.prefix
        self._last = decoder.n_layers - 1
        self._expected: frozenset[Capture] = frozenset({Capture(decoder.n_layers, ANSWERS)})
        self._of_prefix: dict[Capture, Tensor] = {}  # one sequence each: never dropped, as the prefix's keys are not
        self._visited: set[int] = set()
        self._microbatches = tuple(microbatches)
        self._queries = tuple(batch.queries for batch in self._microbatches)
        self._segments = {number: bisect(prompts.cuts, min(held)) for number, held in enumerate(self._queries)}
        self.readings = tuple(plan_readings(batch, device) for batch in self._microbatches)
        self.keys: tuple[Pair | None, ...] = (None,) * decoder.n_layers
        self._stage = stage if prompts.demonstrations and not prompts.own_demonstrations else None
        self._measured: Measured | None = None  # of the untouched model
        self._stopwatch = Stopwatch()

    @property
    def measures(self) -> bool:
        """Whether reading the prefix measures anything."""
        return self._stage is not None and bool(self._prefix)

    @property
    def prefix_bytes(self) -> int:
        """Held of the prefix: its keys and values, and what was captured of it."""
        return count_bytes([self.keys, self._of_prefix]) + (0 if self._measured is None else self._measured.size)

    def numbers(self, prompts: Prompts) -> tuple[int, ...]:
        """The microbatches that hold any query which is evaluated of these prompts, or of this part of them."""
        evaluated = prompts.evaluated
        return tuple(number for number, held in enumerate(self._queries) if not held.isdisjoint(evaluated))

    def extents(self, numbers: Sequence[int], *, prefix: bool) -> tuple[Extent, ...]:
        """How large these microbatches are, and the prefix before them where it is read."""
        extents = extents_of(len(self._prefix), [self._microbatches[number] for number in numbers])
        return extents if prefix or not self._prefix else extents[1:]

    def needs(self, start: Start) -> frozenset[Capture]:
        """What is captured for a trial that starts there."""
        entering = Capture(start.block, ANSWERS if self._answers_suffice(start) else HIDDEN)
        if start.reuse is None:
            return frozenset({entering})
        return frozenset({entering, Capture(start.block, start.reuse)})

    def prepare(
        self, numbers: Collection[int], now: frozenset[Capture], later: frozenset[Capture] = frozenset()
    ) -> None:
        """Hear what trials will need, and read the prefix; the model holds its own weights.

        Args:
            numbers: The microbatches that they visit.
            now: What the coming trials need: kept before anything else.
            later: What is captured as well, whenever a pass of the untouched model meets it and there is room: taken
                to be needed from the last layers to the first, as a grid visits them.
        """
        self._expected |= now | later
        segments = sorted({self._segments[number] for number in numbers})
        self._store.use(
            [(self, DOOR, PREFIX), *((self, capture, segment) for capture in (DOOR, *now) for segment in segments)],
            [(self, capture, segment) for capture in self._order_after(now) for segment in segments],
        )
        wanted = frozenset(capture for capture in now | later if self._concerns_prefix(capture))
        missing = wanted - self._of_prefix.keys()
        if self._prefix and (missing or PREFIX not in self._visited):
            is_first, keys = PREFIX not in self._visited, list(self.keys)
            self._capture(PREFIX, self._open(PREFIX), wanted, keys)
            if is_first:  # the same numbers later: trials that are kept share the first ones, which are held once
                self.keys = tuple(keys)

    def take_stopwatch(self) -> Stopwatch:
        """What measuring the untouched model took since this was last asked: the trials to come share it."""
        taken, self._stopwatch = self._stopwatch, Stopwatch()
        return taken

    def visit(self, number: int, wanted: frozenset[Capture]) -> tuple[Door, Captured]:
        """Bring captures of a microbatch into memory; the model holds its own weights."""
        door = self._open(number)
        held = {capture: self._held(number, capture) for capture in wanted}
        found = {capture: value for capture, value in held.items() if value is not None}
        if missing := wanted - found.keys():
            found |= self._capture(number, door, missing, None)
        return door, found

    def read_prefix(self, start: Start) -> ReadPrefix:
        """Read the prefix under a trial's weights, which the model holds; all is the same below its start."""
        if self._answers_suffice(start) or not self._prefix:
            return ReadPrefix(self.keys, None if self._measured is None else self._measured.again())
        keys = list(self.keys)
        walk = Walk(decoder=self._decoder, door=self._open(PREFIX), positions=None, keys=keys)
        self._decoder.keys.hold(keys, 0)
        measured = self._measure(lambda: self._run_from(walk, start, self._of_prefix), keys)
        return ReadPrefix(tuple(keys), measured)

    def answer(self, number: int, door: Door, trial: Downstream, found: Captured) -> Tensor:
        """What leaves the last block at the answers under a trial's weights, which the model holds.

        Returns:
            Shape ``(sequences, n, width)``.
        """
        if trial.start.block > self._last:
            return found[Capture(trial.start.block, ANSWERS)]
        self._decoder.keys.hold(trial.prefix.keys, len(self._prefix))
        walk = Walk(decoder=self._decoder, door=door, positions=self.readings[number].positions)
        answers = self._run_from(walk, trial.start, found)
        assert answers is not None, "only the prefix has no answers"
        return answers

    def forget(self) -> None:
        """Give up the room in the store."""
        self._store.drop(lambda group: isinstance(group, tuple) and group[0] is self)

    def _group(self, capture: Capture, number: int) -> tuple[Passes, Capture, int]:
        """Where the store keeps a capture: that of microbatches between the same two cuts comes and goes together."""
        return self, capture, PREFIX if number == PREFIX else self._segments[number]

    def _answers_suffice(self, start: Start) -> bool:
        """Whether a trial that starts there computes nothing for other positions, and nothing for the prefix.

        That is so where no block changes, and where only the last block's MLP does.
        """
        return start.block > self._last or (start.block == self._last and start.reuse == ATTENTION)

    def _order_after(self, now: frozenset[Capture]) -> list[Capture]:
        """What else is expected, in the order in which it is likely to be needed: the nearest layer below first.

        What enters blocks comes before outputs of their parts, which are one block away from it.
        """
        reached = min((capture.layer for capture in now), default=self._last + 1)

        def order(capture: Capture) -> tuple[bool, bool, int, str]:
            return capture.layer > reached, capture.what != HIDDEN, -capture.layer, capture.what

        return sorted(self._expected - now, key=order)

    def _concerns_prefix(self, capture: Capture) -> bool:
        """Whether a trial that starts from this capture of the queries starts from the like of the prefix too."""
        in_last = capture.layer == self._last
        return capture.what == HIDDEN or (capture.what in (ATTENTION, MLP) and not in_last)

    def _open(self, number: int) -> Door:
        """Embeddings and block arguments of a microbatch or of the prefix."""
        held = self._store.get(self._group(DOOR, number), number)
        if held is not None:
            return Door(**held)
        answer_arguments = None
        if number == PREFIX:
            self._decoder.keys.hold(self.keys, 0)
            opened = self._decoder.open(torch.tensor([self._prefix], device=self._device), None)
        else:
            self._decoder.keys.hold(self.keys, len(self._prefix))
            batch = self._microbatches[number]
            spare = 0 if batch.branches is None else 1
            ids, mask = pad(batch.sequences, len(self._prefix), self._device, spare)
            opened = self._decoder.open(ids, mask, batch.branches)
            if self._decoder.trims and not batch.reads_all:
                positions, causal_on = self.readings[number].positions, self._decoder.causal_on
                answer_arguments = _trimmed(opened.arguments[-1], positions, batch.width, causal_on)
        content: dict[str, Any] = {
            "hidden": opened.hidden,
            "arguments": opened.arguments,
            "answer_arguments": answer_arguments,
        }
        self._store.put(self._group(DOOR, number), number, content)
        return Door(**content)

    def _capture(
        self, number: int, door: Door, wanted: frozenset[Capture], keys: list[Pair | None] | None
    ) -> dict[Capture, Tensor]:
        """A pass of the untouched model, which keeps what is expected on its way: the first goes to the end.

        Later ones fetch what had no room, from the nearest layer that is captured.
        """
        is_first = number not in self._visited
        layer, hidden = 0, door.hidden
        if not is_first:
            layer, hidden = self._nearest(number, door, min(capture.layer for capture in wanted))
        walk = Walk(
            decoder=self._decoder,
            door=door,
            positions=None if number == PREFIX else self.readings[number].positions,
            wanted=wanted,
            expected=self._expected_of(number),
            keep=partial(self._keep, number),
            keys=keys,
        )
        self._decoder.keys.hold(self.keys, 0 if number == PREFIX else len(self._prefix))
        run = partial(walk.run, layer, hidden, to_end=is_first)
        if number == PREFIX and is_first and keys is not None:
            self._measured = self._measure(run, keys)
            if self._measured is not None:
                self._stopwatch = self._measured.stopwatch
        else:
            run()
        self._visited.add(number)
        return walk.found

    def _measure(self, run: Callable[[], object], keys: Sequence[Pair | None]) -> Measured | None:
        """Read the prefix, which fills ``keys``, and measure on the way where that is asked for."""
        if self._stage is None:
            run()
            return None
        with self._stage.reading(self._measured) as reading:
            run()
        return reading.finished(keys)

    def _expected_of(self, number: int) -> frozenset[Capture]:
        """What is expected to be needed of a microbatch, or of the prefix."""
        if number != PREFIX:
            return self._expected
        return frozenset(capture for capture in self._expected if self._concerns_prefix(capture))

    def _held(self, number: int, capture: Capture) -> Tensor | None:
        """A capture of a microbatch or of the prefix; None where it is not held."""
        if number == PREFIX:
            return self._of_prefix.get(capture)
        value: Tensor | None = self._store.get(self._group(capture, number), number)
        return value

    def _keep(self, number: int, capture: Capture, value: Tensor) -> None:
        """Keep a capture of a microbatch, where there is room for it, or of the prefix."""
        if number == PREFIX:
            self._of_prefix[capture] = value
        else:
            self._store.put(self._group(capture, number), number, value)

    def _nearest(self, number: int, door: Door, below: int) -> tuple[int, Tensor]:
        """The deepest captured layer from which ``below`` can be reached, and what enters it."""
        for layer in range(min(below, self._last), 0, -1):
            value = self._held(number, Capture(layer, HIDDEN))
            if value is not None:
                return layer, value
        return 0, door.hidden

    def _run_from(self, walk: Walk, start: Start, found: Captured) -> Tensor | None:
        """Run the block where a trial starts, with its captured part, and all blocks after it."""
        hidden = found[Capture(start.block, ANSWERS if self._answers_suffice(start) else HIDDEN)]
        given: dict[str, Tensor] = {}
        if start.reuse is not None and Capture(start.block, start.reuse) in found:
            given[start.reuse] = found[Capture(start.block, start.reuse)]
        return walk.run(start.block, hidden, given)


def _trimmed(arguments: Arguments, positions: Tensor, width: int, causal_on: torch.device | None) -> Arguments | None:
    """Arguments of the last block on the answers alone; None where that cannot be done, which is logged once."""
    try:
        return trim(arguments, positions, width, causal_on=causal_on)
    except NotUnderstood as finding:
        _say_untrimmed(str(finding))
        return None


@cache
def _say_untrimmed(finding: str) -> None:
    log.warning("the last block runs on all tokens of some microbatches, not on the answers alone: %s", finding)
