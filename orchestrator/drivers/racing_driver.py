"""The racing driver: it evaluates another driver's trials part by part, and a race says whether the next part is run.

To the run loop a part is a trial like any other: asked for, stored and told. Its row is stored as ``partial`` while
examples are left. So a race is resumed from the stored rows alone, and a trial that was stopped can be
continued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import join_modules
from clipsweep.analysis.winners.smoothing import values_so_far
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.race.entry import Entry, Race
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.trials.spec.result import TrialState


@dataclass(slots=True, kw_only=True)
class _Runner:
    """A point in the race.

    Attributes:
        entry: The point, as the race knows it.
        proposals: Its trial for each demonstration seed.
        rows: Rows of the trials that have reached the rung it runs for, by demonstration seed.
    """

    entry: Entry
    proposals: dict[int, Proposal] = field(default_factory=dict)
    rows: dict[int, StoredRow] = field(default_factory=dict)


class RacingDriver(Driver):
    """Evaluates each of a driver's points rung by rung."""

    def __init__(
        self,
        driver: Driver,
        race: Race,
        rungs: tuple[int, ...],
        n_seeds: int,
        *,
        begun: Iterable[Proposal] = (),
        smoothed: bool = True,
    ) -> None:
        """Start with nobody.

        Args:
            driver: Whose points race.
            race: The rule.
            rungs: Rows of each rung, ascending.
            n_seeds: Demonstration seeds, and so trials, of each point.
            begun: Proposals of earlier runs that the driver will not make again, whose rows are stored.
            smoothed: Whether to rank by smoothed accuracy, for which all rows need margins.
        """
        self.adaptive = driver.adaptive
        self._driver = driver
        self._race = race
        self._rungs = rungs
        self._n_seeds = n_seeds
        self._smoothed = smoothed
        self._runners: dict[Choice, _Runner] = {}
        self._runner_of: dict[Entry, _Runner] = {}
        self._first_with: dict[frozenset[str], Entry] = {}  # by the identities of an entry's trials
        self._ready = deque(map(self._enter, begun))
        self._running = 0
        self._ended = False

    def ask(self, count: int) -> list[Proposal]:
        """Parts of trials that go on, then first parts of new ones."""
        asked = self._take_ready(count)
        if len(asked) < count and not self._all_began:
            asked += [self._enter(proposal) for proposal in self._driver.ask(count - len(asked))]
        if not asked and not self._running and self._all_began:
            # Nobody else can arrive any more, so the race decides at last about those that it still held back.
            self._ended = not self._advance(last_call=True)
            asked = self._take_ready(count)
        while asked and len(asked) < count and self._all_began and self._advance(last_call=False):
            asked += self._take_ready(count - len(asked))
        self._running += len(asked)
        return asked

    @property
    def _all_began(self) -> bool:
        """Whether no further point begins."""
        return self._driver.done or (self._race.settled and not self._driver.owing)

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        """Hear of a part; a failed trial leaves the race."""
        self._running -= 1
        assert proposal.rows is not None, "only parts are asked for"
        if row.state is TrialState.FAILED:
            self._race.left(self._runners[proposal.choice].entry)
            self._driver.tell(replace(proposal, rows=None), row)
            return
        if row.n_examples < proposal.rows:
            # The run loop joins proposals of one trial, and ran it for another that asked for fewer examples.
            self._ready.append(proposal)
            return
        runner = self._runners[proposal.choice]
        runner.rows[proposal.spec.demo_seed] = row
        if len(runner.rows) == self._n_seeds:
            self._reach(runner, proposal.rows)

    @property
    def done(self) -> bool:
        """Whether the driver is done, nothing runs and at the last call nobody went on."""
        return self._ended

    @property
    def reason(self) -> str | None:
        """The rule that ended the search: the driver's, else the race's where that let no further point begin."""
        return self._driver.reason or (None if self._driver.done else self._race.reason)

    def _take_ready(self, count: int) -> list[Proposal]:
        return [self._ready.popleft() for _ in range(min(count, len(self._ready)))]

    def _enter(self, proposal: Proposal) -> Proposal:
        """Let a trial's point into the race; gives the trial's first part."""
        key = proposal.choice
        if key not in self._runners:
            entry = Entry(
                number=len(self._runners),
                shots=proposal.spec.shots,
                modules=join_modules(proposal.spec.clips),
                clips=proposal.spec.clips,
                untouched=not proposal.spec.clips,
            )
            self._runners[key] = self._runner_of[entry] = _Runner(entry=entry)
        self._runners[key].proposals[proposal.spec.demo_seed] = proposal
        return replace(proposal, rows=self._rungs[0])

    def _reach(self, runner: _Runner, n_rows: int) -> None:
        """All trials of a point have reached a rung. The driver is told of it, unless it goes on at once.

        The untouched model always goes on, as the others are compared with it on the rows that they have seen.
        """
        entry = runner.entry
        rows, runner.rows = runner.rows, {}
        if self._repeats_another(entry, rows):
            self._race.left(entry)
            self._tell_driver(runner, rows)
            return
        self._score(entry, rows, n_rows)
        while self._race.uses_all_rows and n_rows < min(row.n_examples for row in rows.values()):
            n_rows = self._rungs[entry.rung + 1]
            self._score(entry, rows, n_rows)
        at_end = n_rows == self._rungs[-1]
        if at_end:
            self._race.finished(entry)
        else:
            self._race.arrived(entry)
        if entry.untouched and not at_end:
            self._ready.extend(self._next_parts(entry))
            return
        if entry not in self._advance(last_call=False):
            self._tell_driver(runner, rows)

    def _repeats_another(self, entry: Entry, rows: Mapping[int, StoredRow]) -> bool:
        """Whether another point has the same trials, as its clips leave the same ranks: that one races for both."""
        trials = frozenset(row.trial_id for row in rows.values())
        first = self._first_with.setdefault(trials, entry)
        return first is not entry and not entry.untouched

    def _score(self, entry: Entry, rows: Mapping[int, StoredRow], n_rows: int) -> None:
        """Note what a point's trials came to on the first rows, as means over their demonstration seeds."""
        outcomes = np.mean([row.example_scores[:n_rows] for row in rows.values()], axis=0)
        values = np.mean([values_so_far(row, n_rows, smoothed=self._smoothed) for row in rows.values()], axis=0)
        weights = next(iter(rows.values())).example_weights
        score = np.average(values, weights=None if weights is None else weights[:n_rows])
        entry.reach(outcomes, float(score), values)

    def _tell_driver(self, runner: _Runner, rows: Mapping[int, StoredRow]) -> None:
        """Tell the driver of each trial, as of the whole trial that it asked for."""
        for seed, proposal in runner.proposals.items():
            self._driver.tell(proposal, rows[seed])

    def _advance(self, *, last_call: bool) -> list[Entry]:
        """Ready the next parts of the entries that go on now; gives these entries.

        Parts that share prompts follow each other, so that the engine reads those once; among them the driver's order
        holds.
        """
        self._race.all_began = self._driver.done
        chosen = self._race.going_on(last_call=last_call)
        parts = [(entry.number, part) for entry in chosen for part in self._next_parts(entry)]
        parts.sort(key=lambda numbered: (numbered[1].spec.shots, numbered[1].spec.demo_seed, numbered[0]))
        self._ready.extend(part for _, part in parts)
        return chosen

    def _next_parts(self, entry: Entry) -> list[Proposal]:
        """What an entry runs to reach its next rung: a part of each of its trials."""
        rows = self._rungs[entry.rung + 1]
        return [replace(proposal, rows=rows) for proposal in self._runner_of[entry].proposals.values()]
