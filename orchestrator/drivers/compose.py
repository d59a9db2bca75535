"""The compose driver: greedy composition, clip upon clip from the last layer down, for each number of shots its own.

Where it is follows from scores alone (``space/composition.py``), so that a study that was killed goes on from its rows.
The compositions of several numbers of shots run beside each other, step by step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.scores import mean_of
from clipsweep.orchestrator.drivers.driver import StudyDriver
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.composition import LOST, Composition, Score, compose, stored_scores
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.space.space import Space


def _nothing(choice: Choice) -> float | None:  # noqa: ARG001
    return None


class ComposeDriver(StudyDriver):
    """Of each composition the choices of the step under way; the next step when all of them have been told."""

    adaptive = True

    def __init__(self, space: Space, known: Score = _nothing, begun: Container[Choice] = ()) -> None:
        """Go on from what is known.

        Args:
            space: Whose points are composed.
            known: How good choices are that need not be asked for.
            begun: Choices that earlier runs have asked for: of a step they come first.
        """
        self._space = space
        self._known = known
        self._begun = begun
        self._told: dict[Choice, dict[int, float]] = {}  # of choices, by demonstration seed
        self._scores: dict[Choice, float | None] = {}
        self._ready: deque[Proposal] = deque()
        self._waits_for: dict[int, set[Choice]] = {}  # by shots
        for shots in space.shots:
            self._follow(shots)

    @classmethod
    def of(cls, opened: OpenStudy, rows: Mapping[str, StoredRow]) -> ComposeDriver:
        """The driver of a study on disk. Trials that failed are asked for again, unless the run loop knows better."""
        known = stored_scores(opened.space, opened.subject, rows, again=True)
        return cls(opened.space, known, {*opened.visited(rows)})

    def ask(self, count: int) -> list[Proposal]:
        """Trials of the steps under way, a trial for each demonstration seed."""
        return [self._ready.popleft() for _ in range(min(count, len(self._ready)))]

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """Take a row; the next step begins when a step's choices have all been told, for all seeds."""
        choice = proposal.choice
        told = self._told.setdefault(choice, {})
        told[proposal.spec.demo_seed] = row.goodness(self._space.metric) if row.is_complete else LOST
        if len(told) < len(self._space.demo_seeds):
            return
        seeds = (
            self._space.demo_seeds if choice.shots else self._space.demo_seeds[:1]
        )  # without shots all are one trial
        self._scores[choice] = mean_of([told[seed] for seed in seeds])
        waits_for = self._waits_for[choice.shots]
        waits_for.discard(choice)
        if not waits_for:
            self._follow(choice.shots)

    @property
    def done(self) -> bool:
        """Whether every composition is at its end."""
        return not self._ready and not any(self._waits_for.values())

    @property
    def owing(self) -> bool:
        """Whether trials of choices that have begun, in this run or an earlier one, are still to be asked for."""
        return any(each.choice in self._begun or each.choice in self._told for each in self._ready)

    def _follow(self, shots: int) -> None:
        """Find the step that comes next, and ready its trials."""
        composition: Composition = compose(self._space, shots, self._score)
        self._waits_for[shots] = {*composition.missing}
        begun_first = sorted(composition.missing, key=lambda choice: choice not in self._begun)
        for choice in begun_first:
            self._ready.extend(self._space.proposals_of(choice))

    def _score(self, choice: Choice) -> float | None:
        if choice not in self._scores:
            known = self._known(choice)
            if known is None:
                return None
            self._scores[choice] = known
        return self._scores[choice]
