"""The cost model: floating-point operations that a trial needs, from shapes and token counts alone."""

from __future__ import annotations

from trials.microbatches import plan_microbatches
from trials.model_card import ModelCard
from trials.prompts import Prompts


def trial_operations(card: ModelCard, prompts: Prompts, microbatch: int) -> int:
    """Operations of one trial as the engine runs it, padding included; a multiply-add counts as two.

    Counted are the matrix products of blocks, attention and head; norms, activations and the product that forms the
    clipped weights are not.
    """
    prefix = len(prompts.prefix)
    total = _read(card, 1, prefix, 0) + 2 * card.hidden_size * card.vocabulary_size if prefix else 0
    for batch in plan_microbatches(prompts, microbatch):
        sequences = len(batch.sequences)
        total += _read(card, sequences, batch.width, prefix)
        total += 2 * card.hidden_size * card.vocabulary_size * sequences * len(batch.positions)
    return total


def _read(card: ModelCard, sequences: int, tokens: int, cached: int) -> int:
    """Operations of all blocks over ``tokens`` new positions a sequence, with ``cached`` ones before them."""
    matrices = sum(rows * cols for rows, cols in card.shapes.values())
    attention = sum(rows for (_, role), (rows, _) in card.shapes.items() if role == "q") * 2 * (cached + tokens)
    return 2 * sequences * tokens * (matrices + attention)
