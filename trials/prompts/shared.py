"""What several texts, or several sequences of tokens, have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Sequences = TypeVar("Sequences", str, tuple[int, ...])


def shared_start(sequences: Sequence[Sequences]) -> Sequences:
    """What all texts, or all sequences of tokens, begin with; only the two extremes in sorting order need comparing."""
    low, high = min(sequences), max(sequences)
    return next((low[:place] for place, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), low)
