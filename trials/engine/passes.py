"""Passes over the prompts of one split: of the untouched model once, of each trial from its clip on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache

import torch
from torch import Tensor

from clipsweep.trials.base.tensors import count_bytes
from clipsweep.trials.decoder.decoder import Arguments, Decoder, NotUnderstood, take, trim
from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.engine.activation_store import ActivationStore
from clipsweep.trials.engine.cost import extents_of
from clipsweep.trials.engine.label_readings import pad, plan_readings
from clipsweep.trials.engine.microbatches import plan_microbatches
from clipsweep.trials.spec.modules import ATTENTION, MLP
from clipsweep.trials.spec.start import Start
from clipsweep.trials.tasks.prompts import Prompts

log = logging.getLogger(__name__)
HIDDEN, ANSWERS = "hidden", "answers"
PREFIX = -1
Place = tuple[int, str]
DOOR_PLACE: Place = (0, "door")


@dataclass(frozen=True, slots=True, kw_only=True)
class Downstream:
    """What a trial changes.

    Attributes:
        start: Where it starts.
        weights: Parameters that it replaces, by name.
        keys: Keys and values of the prefix under these weights, for each block.
    """

    start: Start
    weights: Mapping[str, Tensor]
    keys: tuple[Pair | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A batch of sequences before block 0.

    Attributes:
        hidden: Embeddings, shape ``(batch, tokens, width)``.
        arguments: Of each block.
        answer_arguments: Of the last block when it is called on the answers alone; None where that cannot be done.
    """

    hidden: Tensor
    arguments: list[Arguments]
    answer_arguments: Arguments | None


@dataclass(slots=True, kw_only=True)
class _Walk:
    """One pass over a batch of sequences.

    Attributes:
        number: Of the microbatch, or ``PREFIX``.
        door: Where it begins.
        wanted: Places whose capture is what the pass is for.
        swept: Places to capture on the way.
        keep: Takes each captured value at once, so that no more than one is held here.
        keys: Filled with keys and values, when the prefix is read.
    """

    number: int
    door: Door
    wanted: frozenset[Place] = frozenset()
    swept: frozenset[Place] = frozenset()
    keep: Callable[[Place, Tensor], None] | None = None
    keys: list[Pair | None] | None = None
    found: dict[Place, Tensor] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether all that is wanted is captured."""
        return self.wanted <= self.found.keys()

    def take_note(self, layer: int, kind: str, value: Tensor) -> None:
        """Capture a value if it is wanted or swept."""
        place = (layer, kind)
        if place in self.wanted:
            self.found[place] = value
        if self.keep is not None and (place in self.wanted or place in self.swept):
            self.keep(place, value)

    def parts(self, layer: int) -> list[str]:
        """Parts of a block whose outputs are to be captured."""
        return [part for part in (ATTENTION, MLP) if (layer, part) in self.wanted or (layer, part) in self.swept]


class Passes:
    """Prompts cut into microbatches, their prefix read once, and captured activations of the untouched model.

    A place is a layer and what was captured there: what enters the block (``"hidden"``), the output of its attention
    or MLP, or (``"answers"``) only those positions of what enters it whose logits count. What leaves the last block
    enters the layer after it. The last block runs on the answers alone, and so does what is captured of its parts.
    """

    def __init__(self, decoder: Decoder, store: ActivationStore, prompts: Prompts, size: int, device: torch.device):
        """Plan the microbatches; nothing runs yet."""
        self._decoder = decoder
        self._store = store
        self._device = device
        self._prefix = prompts.prefix
        self._last = decoder.n_layers - 1
        self._swept: frozenset[Place] = frozenset({(decoder.n_layers, ANSWERS)})
        self._of_prefix: dict[Place, Tensor] = {}  # one sequence for each place; not in the store, as its keys are not
        self._visited: set[int] = set()
        self.microbatches = tuple(plan_microbatches(prompts, size))
        self.extents = extents_of(len(prompts.prefix), self.microbatches)
        self.readings = tuple(plan_readings(batch, device) for batch in self.microbatches)
        self.keys: tuple[Pair | None, ...] = (None,) * decoder.n_layers

    @property
    def prefix_bytes(self) -> int:
        """Held of the prefix: its keys and values, and what was captured of it."""
        return count_bytes([self.keys, self._of_prefix])

    def needs(self, start: Start) -> frozenset[Place]:
        """What is captured for a trial that starts there."""
        block, reuse = start.block, start.reuse
        if block > self._last:
            return frozenset({(block, ANSWERS)})
        if block == self._last and reuse == ATTENTION:
            return frozenset({(block, ANSWERS), (block, ATTENTION)})
        return frozenset({(block, HIDDEN)} | ({(block, reuse)} if reuse else set()))

    def sweep(self, now: frozenset[Place], later: frozenset[Place] = frozenset()) -> None:
        """Say where trials start; the model holds its own weights.

        Args:
            now: What the coming trials need: kept before anything else.
            later: What is captured as well, whenever a pass of the untouched model meets it and there is room: taken
                to be needed from the last layers to the first, as a grid visits them.
        """
        self._swept |= now | later
        self._store.use([(self, place) for place in (DOOR_PLACE, *now)], [(self, place) for place in self._after(now)])
        wanted = frozenset(place for place in now | later if self._concerns_prefix(*place))
        if self._prefix and (PREFIX not in self._visited or wanted - self._of_prefix.keys()):
            keys = list(self.keys)
            self._capture(PREFIX, self._open(PREFIX), wanted, keys)
            self.keys = tuple(keys)

    def visit(self, number: int, wanted: frozenset[Place]) -> tuple[Door, dict[Place, Tensor]]:
        """Bring captured activations of a microbatch into memory; the model holds its own weights."""
        door = self._open(number)
        found = {place: value for place in wanted if (value := self._store.get((self, place), number)) is not None}
        if missing := wanted - found.keys():
            found |= self._capture(number, door, missing, None)
        return door, found

    def read_prefix(self, start: Start) -> tuple[Pair | None, ...]:
        """The prefix's keys and values under a trial's weights, which the model holds; the same below its start."""
        in_last = start.block == self._last and start.reuse == ATTENTION
        if not self._prefix or start.block > self._last or in_last:
            return self.keys
        keys = list(self.keys)
        walk = _Walk(number=PREFIX, door=self._open(PREFIX), keys=keys)
        self._decoder.keys.hold(keys, 0)
        self._from_captured(walk, start, self._of_prefix)
        return tuple(keys)

    def answer(self, number: int, door: Door, trial: Downstream, found: Mapping[Place, Tensor]) -> Tensor:
        """What leaves the last block at the answers under a trial's weights, which the model holds.

        Returns:
            Shape ``(sequences, n, width)``.
        """
        if trial.start.block > self._last:
            return found[trial.start.block, ANSWERS]
        self._decoder.keys.hold(trial.keys, len(self._prefix))
        answers = self._from_captured(_Walk(number=number, door=door), trial.start, found)
        assert answers is not None, "only the prefix has no answers"
        return answers

    def forget(self) -> None:
        """Give up the room in the store."""
        self._store.drop(lambda group: isinstance(group, tuple) and group[0] is self)

    def _after(self, now: frozenset[Place]) -> list[Place]:
        """Swept places in the order in which they are expected to be needed after these: the nearest below first.

        What enters blocks comes before outputs of their parts, which are one block away from it.
        """
        reached = min((layer for layer, _ in now), default=self._last + 1)

        def order(place: Place) -> tuple[bool, bool, int, str]:
            layer, kind = place
            return layer > reached, kind != HIDDEN, -layer, kind

        return sorted(self._swept - now, key=order)

    def _concerns_prefix(self, layer: int, kind: str) -> bool:
        """Whether a trial that starts at this place of the queries starts there for the prefix too."""
        return kind == HIDDEN or (layer < self._last and kind in (ATTENTION, MLP))

    def _open(self, number: int) -> Door:
        """Embeddings and block arguments of a microbatch or of the prefix."""
        if (content := self._store.get((self, DOOR_PLACE), number)) is not None:
            return Door(**content)
        trimmed = None
        if number == PREFIX:
            self._decoder.keys.hold(self.keys, 0)
            opened = self._decoder.open(torch.tensor([self._prefix], device=self._device), None)
        else:
            self._decoder.keys.hold(self.keys, len(self._prefix))
            ids, mask = pad(self.microbatches[number].sequences, len(self._prefix), self._device)
            opened = self._decoder.open(ids, mask)
            if self._decoder.trims:
                trimmed = _trimmed(opened.arguments[-1], self.readings[number].positions, ids.shape[1])
        content = {"hidden": opened.hidden, "arguments": opened.arguments, "answer_arguments": trimmed}
        self._store.put((self, DOOR_PLACE), number, content)
        return Door(**content)

    def _capture(
        self, number: int, door: Door, wanted: frozenset[Place], keys: list[Pair | None] | None
    ) -> dict[Place, Tensor]:
        """A pass of the untouched model, which keeps what is swept on its way: the first goes to the end.

        Later ones fetch what had no room, from the nearest layer that is captured.
        """
        first = number not in self._visited
        start, hidden = (0, door.hidden) if first else self._nearest(number, door, min(layer for layer, _ in wanted))

        def keep(place: Place, value: Tensor) -> None:
            if number == PREFIX:
                self._of_prefix[place] = value
            else:
                self._store.put((self, place), number, value)

        swept = self._swept
        if number == PREFIX:
            swept = frozenset(place for place in swept if self._concerns_prefix(*place))
        walk = _Walk(number=number, door=door, wanted=wanted, swept=swept, keep=keep, keys=keys)
        self._decoder.keys.hold(self.keys, self._before(number))
        self._run(walk, start, hidden, to_end=first)
        self._visited.add(number)
        return walk.found

    def _nearest(self, number: int, door: Door, below: int) -> tuple[int, Tensor]:
        """The deepest captured layer from which ``below`` can be reached, and what enters it."""
        for layer in range(min(below, self._last), 0, -1):
            place = (layer, HIDDEN)
            value = self._of_prefix.get(place) if number == PREFIX else self._store.get((self, place), number)
            if value is not None:
                return layer, value
        return 0, door.hidden

    def _before(self, number: int) -> int:
        """Tokens that come before those of a microbatch, or of the prefix itself."""
        return 0 if number == PREFIX else len(self._prefix)

    def _from_captured(self, walk: _Walk, start: Start, found: Mapping[Place, Tensor]) -> Tensor | None:
        """Run the block where a trial starts, with its captured part, and all blocks after it."""
        block, reuse = start.block, start.reuse
        given = {reuse: found[block, reuse]} if reuse and (block, reuse) in found else {}
        hidden = found[block, ANSWERS if block == self._last and reuse == ATTENTION else HIDDEN]
        return self._run(walk, block, hidden, given)

    def _run(
        self, walk: _Walk, start: int, hidden: Tensor, given: Mapping[str, Tensor] | None = None, *, to_end: bool = True
    ) -> Tensor | None:
        """Run blocks from ``start`` on: the one loop behind every pass.

        Args:
            walk: Over what, and what is captured on the way.
            start: First block.
            hidden: What enters it; if it is the last and its attention is given, the answers suffice.
            given: Outputs of parts of block ``start`` that are not computed.
            to_end: Whether to go on when all that is wanted is captured.

        Returns:
            What leaves the last block at the answers; None for the prefix, or if it ended before.
        """
        for layer in range(start, self._last + 1):
            if not to_end and walk.complete:
                return None
            walk.take_note(layer, HIDDEN, hidden)
            block = self._last_block if layer == self._last else self._block
            hidden = block(walk, layer, hidden, given or {})
            if walk.keys is not None and ATTENTION not in (given or {}):
                walk.keys[layer] = self._decoder.keys.seen
            given = None
        walk.take_note(self._last + 1, ANSWERS, hidden)
        return None if walk.number == PREFIX else hidden

    def _block(self, walk: _Walk, layer: int, hidden: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """A block on all tokens."""
        record = dict.fromkeys(walk.parts(layer), hidden)
        hidden = self._decoder.block(layer, hidden, walk.door.arguments[layer], given, record)
        for part, output in record.items():
            walk.take_note(layer, part, output)
        return hidden

    def _last_block(self, walk: _Walk, layer: int, hidden: Tensor, given: Mapping[str, Tensor]) -> Tensor:
        """The last block: keys and values of all tokens, the rest of it at the answers alone; of the prefix no rest."""
        if walk.number != PREFIX and walk.door.answer_arguments is None:
            walk.take_note(layer, ANSWERS, hidden)
            return take(self._block(walk, layer, hidden, given), self.readings[walk.number].positions)
        if ATTENTION not in given:
            self._decoder.keep_keys(layer, hidden, walk.door.arguments[layer])
            if walk.number == PREFIX:
                return hidden
            hidden = take(hidden, self.readings[walk.number].positions)
        walk.take_note(layer, ANSWERS, hidden)
        record = dict.fromkeys(walk.parts(layer), hidden)
        with self._decoder.answering():
            hidden = self._decoder.block(layer, hidden, walk.door.answer_arguments or {}, given, record)
        for part, output in record.items():
            walk.take_note(layer, part, output)
        return hidden


def _trimmed(arguments: Arguments, positions: Tensor, width: int) -> Arguments | None:
    """Arguments of the last block on the answers alone; None where that cannot be done, which is logged once."""
    try:
        return trim(arguments, positions, width)
    except NotUnderstood as finding:
        _say_untrimmed(str(finding))
        return None


@cache
def _say_untrimmed(finding: str) -> None:
    log.warning("the last block runs on all tokens of some microbatches, not on the answers alone: %s", finding)
