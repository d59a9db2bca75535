"""What a replica has done since it was loaded, as plain numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a replica has done since it was loaded, or between two moments.

    Attributes:
        trials: That it has answered, failed ones included.
        failed: Those of them that failed.
        rows: That its trials have seen.
        load_seconds: Reading rows, tokenizer and model.
        encode_seconds: Making prompts and their tokens.
        capture_seconds: Passes of the untouched model, whose activations trials share.
        svd_seconds: Computing factors that were not in the cache.
        evaluate_seconds: All else of evaluating trials.
        halvings: Times that a microbatch was halved, as memory had run out.
        factors_found: Factors of a matrix that the cache on disk had.
        factors_computed: Those that had to be computed.
    """

    trials: int = 0
    failed: int = 0
    rows: int = 0
    load_seconds: float = 0.0
    encode_seconds: float = 0.0
    capture_seconds: float = 0.0
    svd_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    halvings: int = 0
    factors_found: int = 0
    factors_computed: int = 0

    def values(self) -> Iterator[tuple[str, float]]:
        """Each number with its name."""
        return ((field.name, getattr(self, field.name)) for field in fields(self))

    def since(self, before: Counters) -> Counters:
        """What was done after an earlier moment."""
        earlier = dict(before.values())
        changed: dict[str, Any] = {name: value - earlier[name] for name, value in self.values()}
        return replace(self, **changed)
