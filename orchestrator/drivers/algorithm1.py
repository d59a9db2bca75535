"""The paper's Algorithm 1 (Yao et al., 2024, arXiv:2406.03768): condition numbers choose the layer, scores the rate.

For each module of the study, of the ``search.top_k`` layers with the largest condition number the deepest is clipped,
at every rate of ``space.clip_rates``, for each shots and demonstration seed. The best rate is the first with the
largest validation score; the run loop then measures it, and the baseline, once on test.
"""

from __future__ import annotations

from collections.abc import Mapping

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.driver import StudyDriver
from clipsweep.orchestrator.drivers.grid import GridDriver
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.proposal import Proposal
from clipsweep.orchestrator.space.space import Space


class Algorithm1Driver(StudyDriver):
    """Baselines and every candidate rate at the layers that were chosen, in a grid's order."""

    def __init__(self, space: Space) -> None:
        """Take a space whose layers have been chosen: the run loop measures before it drives."""
        self._rates = GridDriver(space)

    @classmethod
    def of(cls, opened: OpenStudy, rows: Mapping[str, StoredRow]) -> Algorithm1Driver:  # noqa: ARG003
        """The driver of a study; what is known the run loop answers."""
        return cls(opened.space)

    def ask(self, count: int) -> list[Proposal]:
        """The next rates."""
        return self._rates.ask(count)

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """No rate depends on another; the winner is picked from the stored rows."""

    @property
    def done(self) -> bool:
        """Whether every rate has been asked for."""
        return self._rates.done
