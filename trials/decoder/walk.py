"""One pass over a batch of sequences: the one loop over blocks behind every pass, and what is captured on its way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from clipsweep.trials.decoder.arguments import Arguments, take
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.spec.modules import ATTENTION, MLP

HIDDEN, ANSWERS = "hidden", "answers"


class Capture(NamedTuple):
    """Something of the untouched model that is kept for trials to start from.

    Attributes:
        layer: Block, counted from 0. What leaves the last block enters the layer after it.
        what: ``HIDDEN``, what enters the block; ``ANSWERS``, those positions of it alone whose logits count; or
            ``ATTENTION`` or ``MLP``, the output of that part. Of the last block's parts the answers alone are kept.
    """

    layer: int
    what: str


Captured = Mapping[Capture, Tensor]


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
class Walk:
    """A batch of sequences on its way through the blocks.

    The last block runs on the answers alone: on the positions whose logits count. Of the prefix, which has none, its
    keys and values are all that the last block computes.

    Attributes:
        decoder: The model.
        door: Where the sequences come from.
        positions: Positions whose logits count, shape ``(batch, n)``; None for the prefix.
        wanted: What the pass is for.
        expected: What is captured as well, where the pass meets it.
        keep: Takes each capture at once, so that no more than one is held here.
        keys: By block; filled with the keys and values that it computes. None where they are not wanted.
        found: Filled with what is wanted.
    """

    decoder: Decoder
    door: Door
    positions: Tensor | None
    wanted: frozenset[Capture] = frozenset()
    expected: frozenset[Capture] = frozenset()
    keep: Callable[[Capture, Tensor], None] | None = None
    keys: list[Pair | None] | None = None
    found: dict[Capture, Tensor] = field(default_factory=dict)

    def run(
        self, first: int, hidden: Tensor, given: Mapping[str, Tensor] | None = None, *, to_end: bool = True
    ) -> Tensor | None:
        """Run the blocks from ``first`` on.

        Args:
            first: Where to begin.
            hidden: What enters that block. Where it is the last one and its attention is given, the answers suffice.
            given: Outputs of parts of that block that are not computed.
            to_end: Whether to go on when all that is wanted is captured.

        Returns:
            What leaves the last block at the answers, shape ``(batch, n, width)``; None for the prefix, or where the
            pass ended before.
        """
        n_layers = self.decoder.n_layers
        for layer in range(first, n_layers):
            if not to_end and self.wanted <= self.found.keys():
                return None
            self._note(Capture(layer, HIDDEN), hidden)
            reuse = given if given and layer == first else {}
            run_block = self._last_block if layer == n_layers - 1 else self._block
            hidden = run_block(layer, hidden, reuse)
            if self.keys is not None and ATTENTION not in reuse:
                self.keys[layer] = self.decoder.keys.seen
        self._note(Capture(n_layers, ANSWERS), hidden)
        return None if self.positions is None else hidden

    def _block(self, layer: int, hidden: Tensor, reuse: Mapping[str, Tensor]) -> Tensor:
        """A block on all tokens."""
        return self._run_block(layer, hidden, self.door.arguments[layer], reuse)

    def _last_block(self, layer: int, hidden: Tensor, reuse: Mapping[str, Tensor]) -> Tensor:
        """The last block: keys and values of all tokens, and the rest of it on the answers alone."""
        arguments = self.door.answer_arguments
        if self.positions is not None and arguments is None:
            self._note(Capture(layer, ANSWERS), hidden)
            return take(self._block(layer, hidden, reuse), self.positions)
        if ATTENTION not in reuse:
            self.decoder.keep_keys(layer, hidden, self.door.arguments[layer])
            if self.positions is None:
                return hidden
            hidden = take(hidden, self.positions)
        self._note(Capture(layer, ANSWERS), hidden)
        with self.decoder.answering():
            return self._run_block(layer, hidden, arguments or {}, reuse)

    def _run_block(self, layer: int, hidden: Tensor, arguments: Arguments, reuse: Mapping[str, Tensor]) -> Tensor:
        """Run a block, and capture the outputs of its parts that are asked for."""
        asked = self.wanted | self.expected
        parts = [part for part in (ATTENTION, MLP) if Capture(layer, part) in asked]
        record = dict.fromkeys(parts, hidden)
        hidden = self.decoder.block(layer, hidden, arguments, reuse, record)
        for part, output in record.items():
            self._note(Capture(layer, part), output)
        return hidden

    def _note(self, capture: Capture, value: Tensor) -> None:
        """Keep a value if it is wanted or expected."""
        if capture in self.wanted:
            self.found[capture] = value
        if self.keep is not None and (capture in self.wanted or capture in self.expected):
            self.keep(capture, value)
