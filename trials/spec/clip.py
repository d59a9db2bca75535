"""One edit of the model: which matrices are clipped, how much, and in which way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.spec.kinds import DEFAULT_KIND, KINDS, KindOfClip, complete, read_options
from clipsweep.trials.spec.modules import MODULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One edit of the model: which matrices are clipped, how much, and in which way.

    Attributes:
        layer: Decoder block, counted from 0.
        module: Group of matrices clipped together: a key of ``MODULES``, e.g. ``"mlp"`` or ``"q"``.
        clip_rate: Fraction of what the kind drops, of singular values in most, in ``[0, 1)``; 0 leaves the weights
            alone, but for kinds that say otherwise.
        kind: What is done to a matrix: a key of ``KINDS``, of which ``"svd"`` is the exact truncated SVD.
        options: What the kind takes besides the rate, as JSON with sorted keys; None for a kind that takes nothing.
            Options that are not given are filled in at their defaults, so that equal clips are equal values.
    """

    layer: int
    module: str
    clip_rate: float
    kind: str = DEFAULT_KIND
    options: str | None = None

    def __post_init__(self) -> None:
        """Refuse impossible values before any GPU time is spent."""
        if self.layer < 0:
            raise SpecError(f"layer is {self.layer}; expected a block counted from 0. Resolve negative layers first.")
        if self.module not in MODULES:
            raise SpecError(unknown_name("module", self.module, MODULES))
        if not 0.0 <= self.clip_rate < 1.0:
            raise SpecError(
                f"clip_rate is {self.clip_rate}; expected a fraction in [0, 1). "
                f"A rate on the 0-10 scale must be divided by 10 (9.5 becomes 0.95)."
            )
        if self.kind not in KINDS:
            raise SpecError(unknown_name("kind of clip", self.kind, KINDS))
        options = complete(self.kind, self.options)
        if options != self.options:
            object.__setattr__(self, "options", options)

    @property
    def of_kind(self) -> KindOfClip:
        """Its kind with the options."""
        return KindOfClip(self.kind, self.options)

    @property
    def told_rate(self) -> float | None:
        """The clip rate as readers are told it; None for kinds in which it has no meaning."""
        return self.clip_rate if KINDS[self.kind].has_rate else None

    @property
    def is_idle(self) -> bool:
        """Whether its rate alone says that it leaves everything as it is."""
        return self.clip_rate == 0 and not KINDS[self.kind].acts_at_zero

    def option(self, name: str) -> Any:
        """The value of an option of its kind."""
        return read_options(self.options)[name]
