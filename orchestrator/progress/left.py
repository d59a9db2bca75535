"""How much a run has yet to do: of a grid known, of a search and of a race expected from what is known so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.trials.spec.ladder import FACTOR
from clipsweep.trials.spec.trial import VALIDATION

Rows = tuple[int, int] | None  # of a part of a trial; None for a whole one
PRIOR_TRIALS = 8  # trials of a search that count as much as what random ones would cost
LATER_PARTS = 16  # that the cost of those to come is told from
ALL_GO_ON = 4  # trials at each rung that are taken to have gone on before any was seen


class Left(ABC):
    """Hears what begins and ends, and says what is left. Winners on the test split are expected from the beginning."""

    def __init__(self, tests: Amount) -> None:
        """Nothing has ended.

        Args:
            tests: What the winners and their baselines will cost on the test split.
        """
        self._tests = tests
        self._ended = Amount()
        self._over = False

    @property
    def ended(self) -> Amount:
        """What has run."""
        return self._ended

    def begin(self, rows: Rows, amount: Amount) -> None:  # noqa: B027 - most know beforehand what will begin
        """Hear of a trial, or a part of one, that has been asked for and will run."""

    def end(self, rows: Rows, amount: Amount) -> None:
        """Hear of one that has run."""
        self._ended += amount
        if self._over:
            self._tests -= amount
        else:
            self._end(rows, amount)

    def begin_tests(self, tests: Amount) -> None:
        """Hear that the search is over, and what will run on the test split."""
        self._over, self._tests = True, tests

    def amount(self) -> Amount | None:
        """What is left; None where that is not known."""
        if self._over:
            return self._tests
        searched = self._searched()
        return None if searched is None else searched + self._tests

    @abstractmethod
    def _end(self, rows: Rows, amount: Amount) -> None:
        """Count a trial, or a part of one, of the search."""

    @abstractmethod
    def _searched(self) -> Amount | None:
        """What is left of the search."""


class ListedLeft(Left):
    """Of a study whose trials can be listed."""

    def __init__(self, left: Amount, tests: Amount) -> None:
        """Nothing has ended.

        Args:
            left: The trials that must run.
            tests: As for every ``Left``.
        """
        super().__init__(tests)
        self._left = left

    def _end(self, rows: Rows, amount: Amount) -> None:  # noqa: ARG002 - trials are whole
        self._left -= amount

    def _searched(self) -> Amount:
        return self._left


class SampledLeft(Left):
    """Of a search: so many trials, each of which costs what those so far did on average."""

    def __init__(self, left: Amount, tests: Amount, *, counted: bool) -> None:
        """Nothing has ended.

        Args:
            left: As many trials as will run, at random points.
            tests: As for every ``Left``.
            counted: Whether it is known how many trials there will be.
        """
        super().__init__(tests)
        self._first = left
        self._counted = counted
        self._seen = Amount()

    def _end(self, rows: Rows, amount: Amount) -> None:  # noqa: ARG002 - trials are whole
        self._seen += amount

    def _searched(self) -> Amount | None:
        if not self._counted:
            return None
        first, seen = self._first, self._seen
        trials = max(0, first.trials - seen.trials)
        known = PRIOR_TRIALS / max(1, first.trials)
        share = trials / (PRIOR_TRIALS + seen.trials)
        rows, work = known * first.rows + seen.rows, known * first.work + seen.work
        return Amount(trials=trials, rows=round(share * rows), work=share * work)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """Who races.

    Attributes:
        rungs: Rows of each rung, ascending.
        trials: That enter the first rung in all; None where that is not known.
        baselines: Those of them that go on whatever they score.
        finishers: That see all rows whatever they score, besides the baselines: where a winner is looked for.
        halves: Whether of each rung one in ``FACTOR`` goes on; else a test decides, of which that cannot be known.
    """

    rungs: Sequence[int]
    trials: int | None
    baselines: int
    finishers: int
    halves: bool


class RacedLeft(Left):
    """Of a race: the rows of each rung, for as many trials as are expected to reach it.

    Of a race that halves it is known how many that are. Where a test decides, the trials to come are taken to go on as
    often as those so far did, and all of them while none has been seen.
    """

    def __init__(self, field: Field, stored: Iterable[StoredRow], first: Amount, tests: Amount) -> None:
        """Count what earlier runs did.

        Args:
            field: Who races.
            stored: Latest attempt at each trial.
            first: The first parts that must run.
            tests: As for every ``Left``.
        """
        super().__init__(tests)
        self._field = field
        self._first = first
        self._begun = [0] * len(field.rungs)
        self._done = [0] * len(field.rungs)
        self._entered = Amount()  # first parts that have run
        self._later: deque[Amount] = deque(maxlen=LATER_PARTS)  # the last other parts
        for row in stored:
            if row.split == VALIDATION and row.has_scores:
                self._count(self._begun, (0, row.n_examples))
                self._count(self._done, (0, row.n_examples))

    @property
    def is_bound(self) -> bool:
        """Whether what is left is the most that it can be, as nobody has been judged yet."""
        return not self._field.halves and self._done[0] < ALL_GO_ON

    def begin(self, rows: Rows, amount: Amount) -> None:  # noqa: ARG002 - what counts is how far it goes
        """Hear of a part that will run."""
        self._count(self._begun, rows)

    def _end(self, rows: Rows, amount: Amount) -> None:
        self._count(self._done, rows)
        if rows is None or rows[0] == 0:
            self._first -= amount
            self._entered += amount
        else:
            self._later.append(amount)

    def _count(self, counts: list[int], rows: Rows) -> None:
        """Count a part at each rung that it reaches."""
        if rows is not None:
            for number, end in enumerate(self._field.rungs):
                counts[number] += rows[0] < end <= rows[1]

    def _searched(self) -> Amount | None:
        if self._field.trials is None:
            return None
        left = Amount(trials=max(0, self._first.trials), rows=max(0, self._first.rows), work=max(0.0, self._first.work))
        rungs, expected = self._field.rungs, self._expected(self._field.trials)
        for number in range(1, len(rungs)):
            trials = max(0, round(expected[number]) - self._done[number])
            rows = trials * (rungs[number] - rungs[number - 1])
            left += Amount(trials=trials, rows=rows, work=rows * self._pace())
        return left

    def _pace(self) -> float:
        """Work of a row in the parts to come after the first.

        It is that of the last such parts; for trials that have yet to enter the race by as much more, or less, as their
        first parts cost next to those that have run. A grid begins with cheap ones.
        """
        first, entered, later = self._first, self._entered, sum(self._later, start=Amount())
        coming = first.work / first.rows if first.rows > 0 else 0.0
        if not later.rows:
            return coming or 1.0
        pace = later.work / later.rows
        if first.trials > 0 and entered.work > 0:
            share = first.trials / (first.trials + entered.trials)
            pace *= 1 - share + share * coming * entered.rows / entered.work
        return min(1.0, pace)

    def _expected(self, entered: int) -> list[float]:
        """Trials that reach each rung."""
        expected, baselines = [float(entered)], self._field.baselines
        for number in range(1, len(self._field.rungs)):
            share = 1 / FACTOR if self._field.halves else self._share_going_on(number - 1)
            reach = baselines + share * (expected[-1] - baselines)
            least = min(entered, baselines + self._field.finishers)
            expected.append(max(float(self._begun[number]), float(least), reach))
        return expected

    def _share_going_on(self, rung: int) -> float:
        """Of the trials that were judged at a rung, those that went on."""
        return min(1.0, (self._begun[rung + 1] + ALL_GO_ON) / (self._done[rung] + ALL_GO_ON))
