"""One block run again from what entered it, so that gradients can be sent back through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.clips.edit import LoadedModel
from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.decoder.prefix_cache import Pair
from clipsweep.trials.screen.passage import Passage
from clipsweep.trials.screen.sites import Site, watching


@dataclass(frozen=True, slots=True, kw_only=True)
class Gradients:
    """Of a margin, by what a block was run from.

    Attributes:
        entering: By what entered it, shape ``(batch, tokens, width)``.
        prefix: By the prefix's keys and values, each ``(1, heads, tokens, head size)``; None where there is no prefix.
        answers: By what each watched linear map answered at each call, ``(batch, tokens, width)``, in the order of the
            calls.
    """

    entering: Tensor
    prefix: Pair | None
    answers: dict[str, list[Tensor]]


class BlockGraph:
    """A block's forward pass with what its backward pass needs, which is held until this is dropped.

    Attributes:
        calls: What passed through the watched linear maps.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        decoder: Decoder,
        layer: int,
        passage: Passage,
        prefix: Passage | None,
        sites: Sequence[Site],
    ) -> None:
        """Run the block.

        Args:
            loaded: The model, with its own weights.
            decoder: To run it.
            layer: Which block.
            passage: What entered it, and what the model calls it with.
            prefix: Comes before the passage, which reads its keys and values; None where nothing does.
            sites: The block's matrices to watch.
        """
        self._entering = passage.entering[layer].detach().requires_grad_()
        pair = None if prefix is None else prefix.keys[layer]
        self._prefix = None if pair is None else (pair[0].detach().requires_grad_(), pair[1].detach().requires_grad_())
        before = [self._prefix if number == layer else None for number in range(decoder.n_layers)]
        decoder.keys.hold(before, 0 if prefix is None else prefix.length)
        decoder.keys.seen = None
        with torch.enable_grad(), watching(loaded.model, sites, len(self._entering)) as self.calls:
            # a copy, as some blocks add to what enters them in place, which a leaf of the graph forbids
            self._leaving = decoder.block(layer, self._entering.clone(), passage.arguments[layer])
        self._keys: Pair | None = decoder.keys.seen
        decoder.keys.seen = None  # it would hold the whole graph

    def pull(self, leaving: Tensor | None, keys: Pair | None, *, again: bool = False) -> Gradients:
        """Send gradients back through the block.

        Args:
            leaving: By what leaves it; None where nothing depends on it.
            keys: By the keys and values that it handed to the cache; None where nothing else reads them.
            again: Whether the graph is kept for another call.
        """
        outputs: list[Tensor] = [] if leaving is None else [self._leaving]
        given = [] if leaving is None else [leaving]
        if keys is not None and self._keys is not None:
            outputs, given = [*outputs, *self._keys], [*given, *keys]
        answers = [answer for calls in self.calls.values() for _, answer in calls]
        inputs = [self._entering, *answers, *(self._prefix or ())]
        found = torch.autograd.grad(outputs, inputs, given, retain_graph=again, allow_unused=True)
        entering, *rest = (
            torch.zeros_like(each) if gradient is None else gradient
            for each, gradient in zip(inputs, found, strict=True)
        )
        by_call = iter(rest[: len(answers)])
        return Gradients(
            entering=entering,
            prefix=None if self._prefix is None else (rest[-2], rest[-1]),
            answers={owner: [next(by_call) for _ in calls] for owner, calls in self.calls.items()},
        )
