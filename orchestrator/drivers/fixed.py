"""The fixed driver: a list of trials, each once. Runs winners on the test split."""

from __future__ import annotations

from collections.abc import Iterable

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.space.proposal import Proposal


class FixedDriver(Driver):
    """Hands out the proposals it was given."""

    def __init__(self, proposals: Iterable[Proposal]) -> None:
        """Start at the first."""
        self._left = list(proposals)

    def ask(self, count: int) -> list[Proposal]:
        """The next proposals."""
        asked, self._left = self._left[:count], self._left[count:]
        return asked

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """Nothing depends on the rows."""

    @property
    def done(self) -> bool:
        """Whether the list is empty."""
        return not self._left
