"""What drivers decide: choices, and the trials that answer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import TrialSpec

Part = tuple[str, int]  # of a choice: a task, and a demonstration seed


class Choice(NamedTuple):
    """What a driver decides, demonstration seeds taken together.

    Attributes:
        shots: Demonstrations in the prompt; of several tasks in those that have no number of their own.
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
        shots: Those of the choice, where the task has a number of its own; None where the spec's are.
    """

    spec: TrialSpec
    rows: int | None = None
    shots: int | None = None

    @property
    def choice(self) -> Choice:
        """What the trials of all tasks and demonstration seeds have in common."""
        return Choice(self.spec.shots if self.shots is None else self.shots, self.spec.clips)

    @property
    def part(self) -> Part:
        """What tells it from the other trials of its choice: its task and its demonstration seed."""
        return self.spec.task, self.spec.demo_seed
