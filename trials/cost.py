"""The cost model: floating-point operations that a trial needs, from shapes and token counts alone.

Counted are the matrix products of blocks, attention and head, a multiply-add as two. Norms, activations, routers of
mixtures and the product that forms the clipped weights are not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trials.microbatches import Microbatch, plan_microbatches
from trials.model_card import ModelCard
from trials.prompts import Prompts
from trials.values import ATTENTION_ROLES, MLP_ROLES, Clip

ATTENTION, MLP = "attention", "mlp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A batch of sequences as it is read.

    Attributes:
        sequences: How many.
        tokens: Of each, padding included.
        before: Tokens of the prefix that they attend to.
        answers: Positions of each that leave the last block.
    """

    sequences: int
    tokens: int
    before: int
    answers: int

    @property
    def keys(self) -> int:
        """Tokens that the last one attends to."""
        return self.before + self.tokens


class CostModel:
    """Counts operations for one model as the engine runs it."""

    def __init__(self, card: ModelCard, *, trims: bool = True, fused_queries: bool = False) -> None:
        """Take the model's shapes.

        Args:
            card: The model.
            trims: Whether its last block runs on the answers alone.
            fused_queries: Whether the last block computes queries wherever it computes keys.
        """
        self._card = card
        self._trims = trims
        self._fused_queries = fused_queries

    def trial(self, prompts: Prompts, microbatch: int, start: int, reuse: str | None) -> int:
        """Operations of one trial from captured activations on, padding included.

        Args:
            prompts: What it reads.
            microbatch: Queries of one pass.
            start: First block that differs from the untouched model's; ``n_layers`` for the untouched model, of which
                the head is all that is left to do.
            reuse: The part of that block whose captured output stands.
        """
        prefix, batches = _readings(prompts, microbatch)
        return self._pass(prefix, start, reuse) + sum(
            self._pass(reading, start, reuse) + self._head(batch, reading) for batch, reading in batches
        )

    def base(self, prompts: Prompts, microbatch: int) -> int:
        """Operations of the one pass of the untouched model that captures activations for all trials."""
        prefix, batches = _readings(prompts, microbatch)
        return self._pass(prefix, 0, None) + sum(self._pass(reading, 0, None) for _, reading in batches)

    def full_prompts(self, prompts: Prompts, microbatch: int) -> int:
        """Operations of a trial that reads every prompt whole."""
        total = 0
        for batch in plan_microbatches(prompts, microbatch):
            width = len(prompts.prefix) + batch.width
            reading = Reading(sequences=len(batch.sequences), tokens=width, before=0, answers=len(batch.positions))
            blocks = sum(self._block(layer, reading, None) for layer in range(self._card.n_layers))
            total += blocks + self._head(batch, reading)
        return total

    def share(self, start: int) -> float:
        """Share of the network's blocks from ``start`` on: what a trial costs next to the untouched model's pass."""
        sizes = [self._weights(layer, ATTENTION_ROLES + MLP_ROLES) for layer in range(self._card.n_layers)]
        return sum(sizes[start:]) / sum(sizes)

    def _pass(self, reading: Reading | None, start: int, reuse: str | None) -> int:
        """Blocks from ``start`` on; only the answers pass the last one, and of a prefix its keys and values alone."""
        if reading is None:
            return 0
        last = self._card.n_layers - 1
        total = 0
        for layer in range(start, last + 1):
            given = reuse if layer == start else None
            if layer < last or (reading.answers and not self._trims):
                total += self._block(layer, reading, given)
            else:
                total += 0 if given == ATTENTION else self._keys(layer, reading)
                total += self._answers(layer, reading, given)
        return total

    def _block(self, layer: int, reading: Reading, given: str | None) -> int:
        roles = (() if given == ATTENTION else ATTENTION_ROLES) + (() if given == MLP else MLP_ROLES)
        total = 2 * reading.sequences * reading.tokens * self._weights(layer, roles)
        if given != ATTENTION:
            total += self._attention(layer, reading, reading.tokens)
        return total

    def _keys(self, layer: int, reading: Reading) -> int:
        """Keys and values of all tokens."""
        roles = ("q", "k", "v") if self._fused_queries else ("k", "v")
        return 2 * reading.sequences * reading.tokens * self._weights(layer, roles)

    def _answers(self, layer: int, reading: Reading, given: str | None) -> int:
        if not reading.answers:
            return 0
        roles = (() if given == ATTENTION else ATTENTION_ROLES) + (() if given == MLP else MLP_ROLES)
        total = 2 * reading.sequences * reading.answers * self._weights(layer, roles)
        if given != ATTENTION:
            total += self._attention(layer, reading, reading.answers)
        return total

    def _attention(self, layer: int, reading: Reading, queries: int) -> int:
        """Products of queries with keys and of probabilities with values."""
        return 4 * reading.sequences * queries * reading.keys * self._weights(layer, ("q",), per_input=True)

    def _weights(self, layer: int, roles: Sequence[str], *, per_input: bool = False) -> int:
        """Weights that a token meets: of a mixture, those of the experts that read it."""
        total = 0
        for role in roles:
            for shape in self._card.shapes.get((layer, role), ()):
                met = min(shape.count, self._card.experts_per_token)
                total += met * shape.rows * (1 if per_input else shape.cols)
        return total

    def _head(self, batch: Microbatch, reading: Reading) -> int:
        tokens = self._card.vocabulary_size if batch.tokens is None else len(batch.tokens)
        return 2 * self._card.hidden_size * reading.sequences * reading.answers * tokens


def starts_at(card: ModelCard, clips: Sequence[Clip]) -> tuple[int, str | None]:
    """The first block that clips change, and the part of it that they leave as it was.

    Returns:
        The block, ``n_layers`` where none changes; ``"attention"`` or ``"mlp"`` if only the other part changes.
    """
    changed = {(layer, role) for layer, role, _ in card.kept_ranks(clips)}
    start = min((layer for layer, _ in changed), default=card.n_layers)
    in_attention = {role in ATTENTION_ROLES for layer, role in changed if layer == start}
    if len(in_attention) != 1:
        return start, None
    return start, MLP if in_attention == {True} else ATTENTION


def _readings(prompts: Prompts, microbatch: int) -> tuple[Reading | None, Iterator[tuple[Microbatch, Reading]]]:
    before = len(prompts.prefix)
    prefix = Reading(sequences=1, tokens=before, before=0, answers=0) if before else None
    batches = (
        (batch, Reading(sequences=len(batch.sequences), tokens=batch.width, before=before, answers=batch.n_answers))
        for batch in plan_microbatches(prompts, microbatch)
    )
    return prefix, batches
