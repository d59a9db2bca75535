"""The racing driver: another driver's trials, each in parts, of which a race says whether the next is run.

A part is a trial like any other to the run loop: asked for, stored (as ``pruned`` while rows are left) and told. So
a race is resumed from the stored rows alone, and a trial that was stopped can be continued.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from statistics import fmean

import numpy as np

from clipsweep.analysis.store.table import Row, unpack_outcomes
from clipsweep.analysis.winners.smoothing import accuracy_so_far
from clipsweep.analysis.winners.winner import join_modules
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.races import HALVING, Entry, Halving, Race, SequentialTest
from clipsweep.orchestrator.space.space import Choice, Proposal
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.result import TrialState


@dataclass(slots=True, kw_only=True)
class _Runner:
    """A point in the race: its trials, one for each demonstration seed, and their rows at the rung it runs for."""

    entry: Entry
    proposals: dict[int, Proposal] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)


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
        self._of: dict[Entry, _Runner] = {}
        self._first: dict[frozenset[str], Entry] = {}  # by the identities of its trials
        self._ready = deque(map(self._enter, begun))
        self._running = 0
        self._ended = False

    @classmethod
    def over(
        cls,
        driver: Driver,
        search: SearchSection,
        *,
        n_rows: int,
        n_seeds: int,
        limit: int | None,
        begun: Iterable[Proposal] = (),
        smoothed: bool = True,
    ) -> Driver:
        """The driver as the study races it; itself where it does not.

        Args:
            driver: Proposes the points.
            search: Of the study.
            n_rows: Validation rows.
            n_seeds: Demonstration seeds.
            limit: Most points there can be; None if not known.
            begun: As the constructor takes it.
            smoothed: Likewise.
        """
        if search.race is None:
            return driver
        race: Race
        if search.race == HALVING:
            race = Halving(waits=not driver.adaptive)
        else:
            race = SequentialTest(indifference=search.indifference, error_rate=search.error_rate, limit=limit)
        return cls(driver, race, make_rungs(n_rows), n_seeds, begun=begun, smoothed=smoothed)

    def ask(self, count: int) -> list[Proposal]:
        """Parts of trials that go on, then first parts of new ones."""
        asked = self._take_ready(count)
        if len(asked) < count and not self._driver.done:
            asked += [self._enter(proposal) for proposal in self._driver.ask(count - len(asked))]
        if not asked and not self._running and self._driver.done:
            self._ended = not self._advance(last_call=True)
            asked = self._take_ready(count)
        self._running += len(asked)
        return asked

    def tell(self, proposal: Proposal, row: Row) -> None:
        """Hear of a part; a failed trial leaves the race."""
        self._running -= 1
        assert proposal.rows is not None
        runner = self._runners[proposal.choice]
        if row["state"] == TrialState.FAILED.value:
            self._driver.tell(replace(proposal, rows=None), row)
        elif row["n_examples"] < proposal.rows:  # it flew for another proposal that wanted fewer rows
            self._ready.append(proposal)
        else:
            runner.rows[proposal.spec.demo_seed] = row
            if len(runner.rows) == self._n_seeds:
                self._reach(runner, proposal.rows)

    @property
    def done(self) -> bool:
        """Whether the driver is done, nothing runs and at the last call nobody went on."""
        return self._ended

    def _take_ready(self, count: int) -> list[Proposal]:
        return [self._ready.popleft() for _ in range(min(count, len(self._ready)))]

    def _enter(self, proposal: Proposal) -> Proposal:
        key = proposal.choice
        if key not in self._runners:
            entry = Entry(
                number=len(self._runners),
                shots=proposal.spec.shots,
                modules=join_modules(proposal.spec.clips),
                untouched=not proposal.spec.clips,
            )
            self._runners[key] = self._of[entry] = _Runner(entry=entry)
        self._runners[key].proposals[proposal.spec.demo_seed] = proposal
        return replace(proposal, rows=self._rungs[0])

    def _reach(self, runner: _Runner, n_rows: int) -> None:
        """All of a point's trials have reached a rung: the driver is told unless it goes on at once."""
        entry = runner.entry
        told, runner.rows = runner.rows, {}
        trials = frozenset(row["trial_id"] for row in told.values())
        if self._first.setdefault(trials, entry) is not entry and not entry.untouched:  # its ranks are another's
            self._tell_driver(runner, told)
            return
        outcomes = np.mean([unpack_outcomes(row)[:n_rows] for row in told.values()], axis=0)
        entry.reach(outcomes, fmean(accuracy_so_far(row, n_rows, smoothed=self._smoothed) for row in told.values()))
        if n_rows == self._rungs[-1]:
            self._race.finished(entry)
        elif entry.untouched:
            self._ready.extend(self._next_parts(entry))
            return
        else:
            self._race.arrived(entry)
        if entry not in self._advance(last_call=False):
            self._tell_driver(runner, told)

    def _tell_driver(self, runner: _Runner, told: dict[int, Row]) -> None:
        for seed, proposal in runner.proposals.items():
            self._driver.tell(proposal, told[seed])

    def _advance(self, *, last_call: bool) -> list[Entry]:
        """Ready the next parts of those that go on: what shares prompts together, else in the driver's order."""
        chosen = self._race.going_on(last_call=last_call)
        parts = [(entry.number, part) for entry in chosen for part in self._next_parts(entry)]
        parts.sort(key=lambda each: (each[1].spec.shots, each[1].spec.demo_seed, each[0]))
        self._ready.extend(part for _, part in parts)
        return chosen

    def _next_parts(self, entry: Entry) -> list[Proposal]:
        """What an entry runs to reach its next rung: a trial for each demonstration seed."""
        rows = self._rungs[entry.rung + 1]
        return [replace(proposal, rows=rows) for proposal in self._of[entry].proposals.values()]
