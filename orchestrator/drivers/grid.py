"""The grid driver: every point once, in the space's order: together what shares activations, cheap ones first."""

from __future__ import annotations

from collections.abc import Mapping

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.driver import StudyDriver
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.proposal import Proposal
from clipsweep.orchestrator.space.space import Space


class GridDriver(StudyDriver):
    """Enumerates the space; holds one integer."""

    def __init__(self, space: Space) -> None:
        """Start at the first point."""
        self._space = space
        self._next = 0

    @classmethod
    def of(cls, opened: OpenStudy, rows: Mapping[str, StoredRow]) -> GridDriver:  # noqa: ARG003
        """The driver of a study; what is known the run loop answers."""
        return cls(opened.space)

    def ask(self, count: int) -> list[Proposal]:
        """The next points."""
        first, self._next = self._next, min(self._next + count, len(self._space))
        return [self._space.proposal(index) for index in range(first, self._next)]

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """A grid does not change its mind."""

    @property
    def done(self) -> bool:
        """Whether every point has been asked for."""
        return self._next == len(self._space)
