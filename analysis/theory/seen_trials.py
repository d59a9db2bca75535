"""What stored rows say of trials: prompts, clips, norms, and the answers to examples."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import starmap
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.packing import unpack_margins, unpack_outcomes
from clipsweep.analysis.row.row import OF_BLOCKS, StoredRow
from clipsweep.analysis.winners.scores import packed_of, values_of
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import VALIDATION


class PromptsOf(NamedTuple):
    """Which prompts a trial saw; its untouched row saw the same."""

    task: str
    shots: int
    demo_seed: int


class SeenTrial(NamedTuple):
    """What a row says of its trial; the last three are ``OF_BLOCKS``."""

    trial_id: str
    split: str
    state: TrialState
    task: str
    shots: int
    demo_seed: int
    clips: tuple[Clip, ...]
    n_examples: int
    seconds: float
    theory_seconds: float | None
    delta_w: list[float | None] | None
    softmax: list[float | None] | None
    gradient: list[float | None] | None

    @property
    def prompts(self) -> PromptsOf:
        """What it saw."""
        return PromptsOf(self.task, self.shots, self.demo_seed)

    @property
    def is_scored(self) -> bool:
        """Whether it has scores on validation."""
        return self.split == VALIDATION and self.state.has_scores

    @property
    def logs(self) -> tuple[list[float | None], ...] | None:
        """Norms by ``NORMS``; None where they were not measured."""
        if self.delta_w is None or self.softmax is None or self.gradient is None:
            return None
        return self.delta_w, self.softmax, self.gradient


class Answers(NamedTuple):
    """What a row says of the examples, packed until it is asked for."""

    n_examples: int
    packed_outcomes: bytes | None
    packed_margins: bytes | None

    @property
    def outcomes(self) -> NDArray[np.int8]:
        """1 for right, 0 for wrong: shape ``(n_examples,)``."""
        return unpack_outcomes(self.packed_outcomes or b"", self.n_examples).astype(np.int8)

    @property
    def margins(self) -> NDArray[np.float64] | None:
        """In the task's unit of scores, the same shape; None where the row has none."""
        return None if self.packed_margins is None else unpack_margins(self.packed_margins)


_FIELDS = ("trial_id", "split", "state", "task", "shots", "demo_seed", "clips", "n_examples", "seconds")


def seen_trials(rows: Mapping[str, StoredRow]) -> list[SeenTrial]:
    """All trials, in the order of their rows."""
    return list(starmap(SeenTrial, values_of(rows, (*_FIELDS, "theory_seconds", *OF_BLOCKS))))


def answers_of(rows: Mapping[str, StoredRow], seen: list[SeenTrial]) -> dict[str, Answers]:
    """By trial; ``seen`` is what ``seen_trials`` makes of the same rows."""
    packed = zip(packed_of(rows, "outcomes"), packed_of(rows, "margins"), strict=True)
    return {each.trial_id: Answers(each.n_examples, *both) for each, both in zip(seen, packed, strict=True)}
