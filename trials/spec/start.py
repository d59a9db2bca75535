"""Where a trial starts: the first block that its clips change, and what is left of that block as it was."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from clipsweep.trials.spec.modules import ATTENTION

USUALLY_REUSED = frozenset({ATTENTION})  # in a block that runs its MLP after its attention, as most do


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a trial begins to differ from the untouched model.

    Attributes:
        block: First block that differs, counted from 0; the number of blocks where none does.
        reuse: The part of that block whose output in the untouched model stands, ``"attention"`` or ``"mlp"``, as only
            the other part changes; None where both are computed.
    """

    block: int
    reuse: str | None = None

    def narrowed(self, reusable: Collection[str]) -> Start:
        """The same start where only these parts of the block can be reused: the other one is computed as well."""
        return self if self.reuse is None or self.reuse in reusable else replace(self, reuse=None)
