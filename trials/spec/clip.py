"""One edit of the model: which matrices are clipped, how much, and in which way."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.trials.base.errors import SpecError, unknown_name
from clipsweep.trials.spec.kinds import DEFAULT_KIND, KINDS
from clipsweep.trials.spec.modules import MODULES


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One edit of the model: which matrices lose their small singular values, and how many.

    Attributes:
        layer: Decoder block, counted from 0.
        module: Group of matrices clipped together: a key of ``MODULES``, e.g. ``"mlp"`` or ``"q"``.
        clip_rate: Fraction of singular values dropped, in ``[0, 1)``; 0 leaves the weights alone.
        kind: How the kept part is formed; ``"svd"`` is the exact truncated SVD of the original weights.
    """

    layer: int
    module: str
    clip_rate: float
    kind: str = DEFAULT_KIND

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
