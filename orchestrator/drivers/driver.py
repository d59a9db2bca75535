"""What a driver is: it says which trial runs next, and hears of what came of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.proposal import Choice, Proposal

# Asked with the test whether a choice is new; gives one that is, or None where there is none.
Chooser = Callable[[Callable[[Choice], bool]], Choice | None]


class Driver(ABC):
    """Asked for trials and told their rows; it never sees a replica.

    Attributes:
        adaptive: Whether what it asks for depends on what it was told, so that it is asked only for what can run now.
        chooser: Who names the points that begin, of a driver that takes them from another; None of all others.
        openers: Points that begin before those that a sampler suggests, of a driver that has one.
    """

    adaptive: bool = False
    chooser: Chooser | None = None
    openers: Sequence[Choice] = ()

    @property
    def reason(self) -> str | None:
        """The rule that ended its search before its end, as the study file words it; None for none."""
        return None

    @property
    def owing(self) -> bool:
        """Whether what it asks for next belongs to points that have begun, in this run or an earlier one."""
        return False

    @abstractmethod
    def ask(self, count: int) -> list[Proposal]:
        """Up to ``count`` trials to run now; fewer, or none, while it waits for rows or has no more."""

    @abstractmethod
    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """Hear a stored row: of a trial just run, or known from before."""

    @property
    @abstractmethod
    def done(self) -> bool:
        """Whether it will never ask for another trial."""


class StudyDriver(Driver):
    """A driver that a study can name."""

    @classmethod
    @abstractmethod
    def of(cls, opened: OpenStudy, rows: Mapping[str, StoredRow]) -> StudyDriver:
        """The driver of a study, from what is known of it.

        Args:
            opened: The study, its layers known.
            rows: Latest attempt at each trial, by trial identity.
        """
