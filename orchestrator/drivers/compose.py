"""The compose driver: greedy composition, clip upon clip from the last layer down, for each number of shots its own.

Where it is follows from scores alone (``space/composition.py``), so that a study that was killed goes on from its rows.
The compositions of several numbers of shots run beside each other, step by step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Mapping

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.scores import mean_goodness
from clipsweep.analysis.winners.several import broken_guards
from clipsweep.orchestrator.drivers.driver import StudyDriver
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.composition import LOST, Composition, Score, compose, stored_scores
from clipsweep.orchestrator.space.proposal import Choice, Part, Proposal
from clipsweep.orchestrator.space.space import Space


def _nothing(choice: Choice) -> float | None:  # noqa: ARG001
    return None


class ComposeDriver(StudyDriver):
    """Of each composition the choices of the step under way; the next step when all of them have been told."""

    adaptive = True

    def __init__(
        self,
        space: Space,
        known: Score = _nothing,
        begun: Container[Choice] = (),
        untouched: Mapping[Choice, Mapping[Part, StoredRow]] = {},  # never changed
    ) -> None:
        """Go on from what is known.

        Args:
            space: Whose points are composed.
            known: How good choices are that need not be asked for.
            begun: Choices that earlier runs have asked for: of a step they come first.
            untouched: Rows of the untouched model that need not be asked for, which guards are judged by.
        """
        self._space = space
        self._known = known
        self._begun = begun
        self._told: dict[Choice, dict[Part, StoredRow]] = {choice: dict(rows) for choice, rows in untouched.items()}
        self._scores: dict[Choice, float | None] = {}
        self._ready: deque[Proposal] = deque()
        self._waits_for: dict[int, set[Choice]] = {}  # by shots
        for shots in space.shots:
            self._follow(shots)

    @classmethod
    def of(cls, opened: OpenStudy, rows: Mapping[str, StoredRow]) -> ComposeDriver:
        """The driver of a study on disk. Trials that failed are asked for again, unless the run loop knows better."""
        known = stored_scores(opened.space, opened.subject, rows, again=True)
        return cls(opened.space, known, {*opened.visited(rows)}, _stored_rows(opened, rows))

    def ask(self, count: int) -> list[Proposal]:
        """Trials of the steps under way, a trial for each task and demonstration seed."""
        return [self._ready.popleft() for _ in range(min(count, len(self._ready)))]

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """Take a row; the next step begins when a step's choices have all been told, for all tasks and seeds."""
        choice = proposal.choice
        told = self._told.setdefault(choice, {})
        told[proposal.part] = row
        if len(told) < self._space.n_parts:
            return
        self._scores[choice] = self._judge(choice, told)
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

    def _judge(self, choice: Choice, told: Mapping[Part, StoredRow]) -> float:
        """How good a choice is, all of whose trials have rows; ``LOST`` where one failed, or a guard is broken."""
        untouched = self._told.get(choice._replace(clips=()), {})
        parts = [(each.task, each.demo_seed) for each in self._space.prompt_sets(choice.shots)]  # each trial once
        if not all(told[part].is_complete for part in parts):
            return LOST
        point = Point(
            clips=choice.clips,
            shots=choice.shots,
            trial_ids=tuple(f"told {part}" for part in parts),
            baseline_ids=tuple(f"untouched {part}" for part in parts),
            metric=self._space.metric,
            tasks=self._space.scored_tasks(choice.shots),
        )
        rows = {f"told {part}": row for part, row in told.items()}
        rows |= {f"untouched {part}": row for part, row in untouched.items()}
        if broken_guards(point, rows):
            return LOST
        score = mean_goodness(point.trial_ids, rows, point.metric, point.tasks)
        assert score is not None, "all its rows are complete"
        return score

    def _score(self, choice: Choice) -> float | None:
        if choice not in self._scores:
            known = self._known(choice)
            if known is None:
                return None
            self._scores[choice] = known
        return self._scores[choice]


def _stored_rows(opened: OpenStudy, rows: Mapping[str, StoredRow]) -> dict[Choice, dict[Part, StoredRow]]:
    """The stored rows of the untouched model, of each number of shots by task and demonstration seed."""
    subject, found = opened.subject, {}
    for choice in opened.space.untouched():
        trials = {each.part: subject.trial_id(each.spec) for each in opened.space.proposals_of(choice)}
        found[choice] = {part: rows[trial] for part, trial in trials.items() if trial in rows}
    return found
