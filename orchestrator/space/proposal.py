"""What drivers decide: choices, and the trials that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TrialSpec


class Choice(NamedTuple):
    """What a driver decides, demonstration seeds taken together.

    Attributes:
        shots: Demonstrations in the prompt.
        clips: Ascending by layer and module, none of rate 0; empty for the untouched model.
    """

    shots: int
    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial that a driver wants.

    Attributes:
        spec: What is evaluated.
        rows: How many rows of the split, from its first; None for all.
    """

    spec: TrialSpec
    rows: int | None = None

    @property
    def choice(self) -> Choice:
        """What the trials of all demonstration seeds have in common."""
        return Choice(self.spec.shots, self.spec.clips)
