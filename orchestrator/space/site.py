"""Sites: what is clipped together, a module of one layer or of a range of layers."""

from __future__ import annotations

from typing import NamedTuple

from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KindOfClip


class Site(NamedTuple):
    """A module of one layer, or of several that follow each other.

    Attributes:
        layers: Counted from 0, ascending.
        module: Its name.
    """

    layers: tuple[int, ...]
    module: str

    @property
    def is_range(self) -> bool:
        """Whether there are several layers."""
        return len(self.layers) > 1

    @property
    def label(self) -> str:
        """Its layers in short: ``3``, or ``20-27``."""
        return f"{self.layers[0]}-{self.layers[-1]}" if self.is_range else str(self.layers[0])

    def clips(self, clip_rate: float, kind: KindOfClip) -> tuple[Clip, ...]:
        """A clip of this rate and kind in each of its layers."""
        name, options = kind
        clips = [
            Clip(layer=layer, module=self.module, clip_rate=clip_rate, kind=name, options=options)
            for layer in self.layers
        ]
        return tuple(clips)
