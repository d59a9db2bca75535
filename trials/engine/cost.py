"""The cost model: floating-point operations that a trial needs, from shapes and token counts alone.

Counted are the matrix products of blocks, attention and head, a multiply-add as two. Norms, activations, routers of
mixtures and the product that forms the clipped weights are not.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from clipsweep.trials.engine.microbatches import Microbatch, plan_microbatches
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.modules import ATTENTION, ATTENTION_ROLES, MLP, MLP_ROLES
from clipsweep.trials.spec.start import Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How large a batch of sequences is.

    Attributes:
        sequences: How many.
        tokens: Of each, padding included.
        before: Tokens of the prefix that they attend to.
        answers: Positions of each that leave the last block; 0 for the prefix itself.
        trims: Whether the last block runs on the answers alone, if the model's can.
        logits: Tokens of the vocabulary whose logits are computed at each answer; None for all.
    """

    sequences: int
    tokens: int
    before: int
    answers: int = 0
    trims: bool = True
    logits: int | None = 0

    @property
    def keys(self) -> int:
        """Tokens that the last one attends to."""
        return self.before + self.tokens


def measure_extents(prompts: Prompts, microbatch: int, *, branches: bool = False) -> tuple[Extent, ...]:
    """The prefix, where there is one, and every microbatch of a split, planned as ``plan_microbatches`` does."""
    return extents_of(len(prompts.prefix), plan_microbatches(prompts, microbatch, branches=branches))


def extents_of(before: int, batches: Iterable[Microbatch]) -> tuple[Extent, ...]:
    """The same of microbatches that are planned already, after a prefix of so many tokens."""
    prefix = (Extent(sequences=1, tokens=before, before=0),) if before else ()
    return prefix + tuple(_extent(batch, before) for batch in batches)


def _extent(batch: Microbatch, before: int) -> Extent:
    return Extent(
        sequences=batch.n_rows,
        tokens=batch.width,
        before=before,
        answers=batch.n_answers,
        trims=not batch.reads_all,
        logits=None if batch.tokens is None else len(batch.tokens),
    )


class CostModel:
    """Counts operations for one model as the engine runs it.

    Attributes:
        card: Shapes of the model.
    """

    def __init__(self, card: ModelCard, *, trims: bool = True, fused_queries: bool = False) -> None:
        """Take the model's shapes.

        Args:
            card: The model.
            trims: Whether its last block runs on the answers alone.
            fused_queries: Whether the last block computes queries wherever it computes keys.
        """
        self.card = card
        self._trims = trims
        self._fused_queries = fused_queries

    def trial(self, extents: Sequence[Extent], start: Start) -> int:
        """Operations of one trial from captured activations on, padding included.

        Args:
            extents: What it reads.
            start: Where it starts; of the untouched model the head is all that is left to do.
        """
        return sum(self._pass(extent, start) + self.head(extent) for extent in extents)

    def base(self, extents: Sequence[Extent]) -> int:
        """Operations of the one pass of the untouched model that captures activations for all trials."""
        return sum(self._pass(extent, Start(block=0)) for extent in extents)

    def full_prompts(self, prompts: Prompts, microbatch: int) -> int:
        """Operations of a trial that reads every prompt whole."""
        total = 0
        for batch in plan_microbatches(prompts, microbatch):
            query = _extent(batch, 0)
            extent = replace(query, tokens=len(prompts.prefix) + query.tokens, answers=len(batch.positions))
            layers = range(self.card.n_layers)
            total += sum(self._positions(layer, extent, extent.tokens, None) for layer in layers) + self.head(extent)
        return total

    def block(self, layer: int, extent: Extent) -> tuple[int, int]:
        """Operations of one block on all tokens: of its matrices, and of the products inside its attention."""
        matrices = 2 * extent.sequences * extent.tokens * self._weights(layer, ATTENTION_ROLES + MLP_ROLES)
        return matrices, self._positions(layer, extent, extent.tokens, None) - matrices

    def _pass(self, extent: Extent, start: Start) -> int:
        """Blocks from the start on; only the answers pass the last one, and of a prefix its keys and values alone."""
        last = self.card.n_layers - 1
        total = 0
        for layer in range(start.block, last + 1):
            given = start.reuse if layer == start.block else None
            if layer < last or (extent.answers and not (self._trims and extent.trims)):
                total += self._positions(layer, extent, extent.tokens, given)
            else:
                total += 0 if given == ATTENTION else self._keys(layer, extent)
                total += self._positions(layer, extent, extent.answers, given)
        return total

    def _positions(self, layer: int, extent: Extent, positions: int, given: str | None) -> int:
        """A block on so many positions of each sequence, but for the part whose output is given."""
        roles = (() if given == ATTENTION else ATTENTION_ROLES) + (() if given == MLP else MLP_ROLES)
        total = 2 * extent.sequences * positions * self._weights(layer, roles)
        if given != ATTENTION:  # products of queries with keys and of probabilities with values
            heads = self._weights(layer, ("q",), per_input=True)
            total += 4 * extent.sequences * positions * extent.keys * heads
        return total

    def _keys(self, layer: int, extent: Extent) -> int:
        """Keys and values of all tokens."""
        roles = ("q", "k", "v") if self._fused_queries else ("k", "v")
        return 2 * extent.sequences * extent.tokens * self._weights(layer, roles)

    def _weights(self, layer: int, roles: Sequence[str], *, per_input: bool = False) -> int:
        """Weights that a token meets: of a mixture, those of the experts that read it."""
        total = 0
        for role in roles:
            for shape in self.card.shapes.get((layer, role), ()):
                met = min(shape.count, self.card.experts_per_token)
                total += met * shape.rows * (1 if per_input else shape.cols)
        return total

    def head(self, extent: Extent) -> int:
        """Operations of the logits that are read."""
        logits = self.card.vocabulary_size if extent.logits is None else extent.logits
        return 2 * self.card.hidden_size * extent.sequences * extent.answers * logits
