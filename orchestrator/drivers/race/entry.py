"""What races: entries, and what a race decides about them, over outcomes on the same rows in one fixed order.

A rung is a number of validation rows, counted from the first. Points of the same number of shots race each other; the
untouched model runs beside them to the end.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.spec.clip import Clip

LEAST_ROWS = 100  # of a split that is raced on

Outcomes = NDArray[np.float64]


@dataclass(slots=True, kw_only=True, eq=False)
class Entry:
    """A point in the race.

    Attributes:
        number: Its place in the driver's order; of equals the first goes on.
        shots: It races those of the same number.
        modules: What it clips, as far as winners are told apart by it.
        clips: What it clips.
        untouched: Whether it is the model as it is, which is never stopped.
        rung: The rung that it has reached, or runs for; -1 before the first.
        outcomes: Of the rows seen so far, each in [0, 1]: right or wrong, a mean where there are several seeds. Of text
            the mean log-likelihood of a window's tokens, which has no bounds.
        values: At each rung reached, its outcomes smoothed by how far each was from turning.
        scores: How good it is estimated to be at each rung reached, from its rows alone: what it is ranked by. An
            accuracy, or of text the mean log-likelihood of a token.
    """

    number: int
    shots: int
    modules: str | None = None
    clips: tuple[Clip, ...] = ()
    untouched: bool = False
    rung: int = -1
    outcomes: Outcomes = field(default_factory=lambda: np.zeros(0))
    values: list[Outcomes] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def reach(self, outcomes: Outcomes, score: float, values: Outcomes | None = None) -> None:
        """Reach the next rung with the outcomes of all its rows, and an estimate of how good it is from them.

        ``values`` are the outcomes smoothed; without, outcomes stand for themselves.
        """
        self.rung += 1
        self.outcomes = outcomes
        self.values.append(outcomes if values is None else values)
        self.scores.append(score)


class Race(ABC):
    """Hears of entries that reached a rung, and says which go on to the next.

    Attributes:
        uses_all_rows: Whether it hears at once of all the rungs for which an entry's rows are stored.
        all_began: Whether no further entry is to begin, as its driver told it last.
    """

    uses_all_rows: bool = False
    all_began: bool = False

    @property
    def settled(self) -> bool:
        """Whether no further point need begin."""
        return False

    @property
    def reason(self) -> str | None:
        """Why it is settled, as the study file words it; None while it is not."""
        return None

    @abstractmethod
    def arrived(self, entry: Entry) -> None:
        """Take an entry that has reached a rung before the last; the untouched model goes on whatever is decided."""

    @abstractmethod
    def finished(self, entry: Entry) -> None:
        """Take an entry that has seen all rows."""

    def left(self, entry: Entry) -> None:  # noqa: B027  # one that keeps entries by rung need not know
        """Take note of an entry of which nothing more is to come: a trial failed, or another has the same trials."""

    @abstractmethod
    def going_on(self, *, last_call: bool) -> list[Entry]:
        """Entries that go on to the next rung now; each is named once for each rung.

        Args:
            last_call: Whether nothing runs and no entry is to come, unless one of these goes on.
        """
