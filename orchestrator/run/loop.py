"""The run loop: ask the driver, skip what is known, send the rest to the pool, store, tell."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from clipsweep.analysis.winners.standings import Standings
from clipsweep.cluster.pool import Pool
from clipsweep.cluster.work import Batch
from clipsweep.orchestrator.drivers.assemble import assemble_search
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.folder.end import End
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.plan.relative_work import RelativeWork, n_rows
from clipsweep.orchestrator.progress.goal import goal_of
from clipsweep.orchestrator.progress.progress import Progress
from clipsweep.orchestrator.run.interrupt import Interrupt
from clipsweep.orchestrator.run.measure_layers import measure_layers
from clipsweep.orchestrator.run.measure_norms import measure_norms
from clipsweep.orchestrator.run.measure_screens import measure_screens
from clipsweep.orchestrator.run.measure_spectra import measure_spectra
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.trials.base.errors import EvaluationError, PoolError, TaskError, counted
from clipsweep.trials.clips.resolve import starts_of
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import Trial

log = logging.getLogger(__name__)
CALL_SECONDS = 4.0
CALL_TRIALS = 8
COLLECT_SECONDS = 0.5
NOT_MEASURED = (EvaluationError, PoolError, TaskError)  # why what is measured at the end can be missing


@dataclass(slots=True)
class _Flight:
    """A trial sent to the pool, and every proposal that waits for its row."""

    trial: Trial
    proposals: list[Proposal] = field(default_factory=list)


class RunLoop:
    """Runs drivers over one study. The pool is started when the first trial must really run.

    Attributes:
        stopped_by: The stopping rule that ended the search, as the study file words it; None for none.
    """

    def __init__(
        self,
        opened: OpenStudy,
        ledger: Ledger,
        start_pool: Callable[[], Pool],
        progress: Progress,
        interrupt: Interrupt,
        ended: End | None = None,
    ) -> None:
        """Take the study and its parts; nothing runs yet. ``ended`` tells how an earlier run of it came to its end."""
        self._opened = opened
        self._ledger = ledger
        self._start_pool = start_pool
        self._pool: Pool | None = None
        self._progress = progress
        self._interrupt = interrupt
        self._ended = ended
        self._queue: deque[_Flight] = deque()
        self._flying: dict[str, _Flight] = {}
        self._work = RelativeWork(opened)
        self._replicas: list[dict[str, str]] = []
        self._paces: deque[float] = deque(maxlen=16)  # seconds per work of the last trials
        self._failed: set[str] = set()
        self.stopped_by: str | None = None

    def run(self) -> None:
        """Choose the layers, run the study's driver, then its winners on the test split; stops early when interrupted.

        Layers are chosen by condition numbers or by a screen, and points are screened, where the study wants that;
        once these are known nothing is measured. Of a study that asks for the theory, stored trials are measured at the
        end that were not while they were scored, and the singular values of what it clips.
        """
        try:
            self._choose_layers()
            if self._opened.pending is None:
                measure_screens(self._opened, self._started_pool, self._progress.waits_for, self._is_stopped)
                self._search()
            if self._opened.subject.tested and not self._interrupt.requested:
                proposals = self._test_proposals()
                missing = self._ledger.missing(proposals).values()
                if missing:
                    self._progress.say(f"{counted(len(missing), 'trial')} on test: winners and their baselines")
                self._progress.begun_tests(sum(map(self._amount, map(self._ledger.trial, missing)), start=Amount()))
                self.drive(FixedDriver(proposals))
            self._measure_theory()
        finally:
            try:
                self._ledger.flush()
            finally:
                if self._pool is not None:
                    self._pool.close()

    def _search(self) -> None:
        """Run the study's driver, under its stopping rules and in its race.

        A search that has raced to its end is not raced again: it would hear stored parts in another order, and go on
        with other trials.
        """
        if self._has_raced_to_its_end():
            assert self._ended is not None, "else it has not"
            self.stopped_by = self._ended.stopped_by
            return
        driver = assemble_search(self._opened, self._ledger, self._work)
        self.drive(driver)
        if self._opened.study.search.race is not None and not self._interrupt.requested:
            self._ledger.end_race()
        if driver.reason is not None and not self._interrupt.requested:
            self.stopped_by = driver.reason
            self._progress.say(f"stopped by {driver.reason}")

    def _has_raced_to_its_end(self) -> bool:
        """Whether an earlier run has ended the search, and nothing has changed since."""
        opened, ended = self._opened, self._ended
        raced = opened.is_searched and opened.study.search.race is not None
        return raced and ended is not None and ended.still_holds(opened.study, self._ledger.rows)

    def drive(self, driver: Driver) -> None:
        """Run one driver to its end, or until interrupted and nothing is in flight."""
        while True:
            if self._interrupt.requested:
                self._drop_queue()
            else:
                self._fill(driver)
            if not self._flying and (driver.done or self._interrupt.requested):
                return
            self._collect(driver)

    def _choose_layers(self) -> None:
        """Measure what the choice of layers waits for, and count the trials again now that they are known."""
        if self._opened.pending is None:
            return
        pool = self._started_pool()
        self._opened = measure_layers(self._opened, pool, self._progress.waits_for, self._is_stopped)
        if self._opened.pending is None:
            pool.announce(starts_of(self._opened.space.starts(), self._opened.subject.card))
            self._progress.expect(goal_of(self._opened, self._ledger))

    def _measure_theory(self) -> None:
        """Measure stored trials, and the singular values that the theory is compared with, where they are not known.

        All trials are stored by now, and the theory is told without these too: what cannot be measured is warned of,
        and tried by the next run.
        """
        opened, progress = self._opened, self._progress
        if not self._interrupt.requested:
            try:
                measure_norms(opened, self._ledger.rows, self._started_pool, progress.waits_for, self._is_stopped)
            except NOT_MEASURED as error:
                log.warning(f"norms of stored trials that the theory is about are missing, as {error}")
        if self._interrupt.requested:
            return
        try:
            measure_spectra(
                opened,
                opened.missing_spectra(),
                self._started_pool,
                progress.waits_for,
                self._is_stopped,
                what="the singular values",
                why="are what the theory is compared with",
            )
        except NOT_MEASURED as error:
            log.warning(f"singular values that the theory is compared with are missing, as {error}")

    def _is_stopped(self) -> bool:
        """Whether the user wants an end; raises where the study's folder is gone."""
        self._ledger.check_folders()
        return self._interrupt.requested

    def _started_pool(self) -> Pool:
        """The pool, started the first time that it is wanted."""
        if self._pool is None:
            with self._interrupt.ending_at_once():
                self._pool = self._start_pool()
            self._interrupt.listen()
            self._replicas = self._pool.replicas()
            self._progress.started(self._replicas)
        return self._pool

    def _test_proposals(self) -> list[Proposal]:
        """The winners, overall and of each shots and module, with their baselines."""
        rows, space = self._ledger.rows, self._opened.space
        points = Standings(self._opened.points(rows), rows).winning_points
        choices = [Choice(point.shots, point.clips) for point in points]
        return [proposal for choice in choices for proposal in space.test_proposals(choice)]

    def _fill(self, driver: Driver) -> None:
        """Keep the pool's calls busy; a driver that learns is asked only for what can run now."""
        while not driver.done:
            wanted = self._room() if driver.adaptive else CALL_TRIALS
            if len(self._queue) >= wanted:
                break
            proposals = driver.ask(wanted - len(self._queue) if driver.adaptive else CALL_TRIALS)
            if not proposals:
                break
            for proposal in proposals:
                self._admit(driver, proposal)
        if self._queue:
            pool = self._started_pool()
            while self._queue and pool.free_calls() and not self._interrupt.requested:
                pool.submit(self._next_batch())

    def _room(self) -> int:
        """Trials that would not wait for another: one for each free call; one while nothing has had to run."""
        return self._pool.free_calls() if self._pool is not None else 1

    def _admit(self, driver: Driver, proposal: Proposal) -> None:
        """Answer a proposal from the store, join it to a trial in flight, or queue it."""
        trial = self._ledger.trial(proposal)
        row = self._ledger.known(trial)
        if trial.trial_id in self._failed:  # in this run: it is not tried again before the next
            row = self._ledger.rows[trial.trial_id]
        if row is not None:
            driver.tell(proposal, row)
        elif trial.trial_id in self._flying:
            self._flying[trial.trial_id].proposals.append(proposal)
        else:
            flight = self._flying[trial.trial_id] = _Flight(trial, [proposal])
            self._queue.append(flight)
            if trial.rows and trial.rows[0]:
                self._progress.begun(trial.rows, self._amount(trial))

    def _next_batch(self) -> Batch:
        """Trials from the front of the queue that share prompts: as many as a call of a few seconds holds."""
        first = self._queue.popleft().trial
        trials, seconds = [first], self._expected_seconds(first)
        microbatch = self._ledger.microbatch(first)
        while self._queue and len(trials) < CALL_TRIALS and not self._is_suspect(first):
            following = self._queue[0].trial
            more = self._expected_seconds(following)
            shared = (following.spec.prompt_set, following.rows) == (first.spec.prompt_set, first.rows)
            together = shared and self._ledger.microbatch(following) == microbatch
            if seconds + more > CALL_SECONDS or not together or self._is_suspect(following):
                break
            seconds += more
            trials.append(self._queue.popleft().trial)
        return Batch(trials=tuple(trials), microbatch=microbatch, expected_s=seconds if self._paces else None)

    def _is_suspect(self, trial: Trial) -> bool:
        """Whether replicas died over a trial, also in earlier runs: it runs alone."""
        return trial.trial_id in self._ledger.deaths

    def _expected_seconds(self, trial: Trial) -> float:
        """What a trial will take, as the last ones did; a whole call's worth before any is known."""
        pace = sum(self._paces) / len(self._paces) if self._paces else None
        return CALL_SECONDS if pace is None else pace * self._cost(trial)

    def _cost(self, trial: Trial) -> float:
        """What a trial, or the part of it that runs, costs next to others."""
        return self._work(trial.spec, trial.resolved) * self._n_rows(trial) / n_rows(self._opened, trial.spec)

    def _n_rows(self, trial: Trial) -> int:
        """Rows that a trial, or the part of it that runs, sees."""
        first, last = trial.rows or (0, n_rows(self._opened, trial.spec))
        return last - first

    def _amount(self, trial: Trial) -> Amount:
        """One trial, or the part of it that runs, its rows and what it costs."""
        return Amount(trials=1, rows=self._n_rows(trial), work=self._cost(trial))

    def _collect(self, driver: Driver) -> None:
        """Take what the pool finished; flush when it is time, and only then tell the driver."""
        self._ledger.check_folders()
        results = self._pool.collect(COLLECT_SECONDS) if self._pool is not None else []
        for result in results:
            if result.seconds:  # none of one that is failed for the deaths of its replicas
                self._paces.append(result.seconds / self._cost(result.trial))
            self._ledger.add(result)
        if self._pool is not None:
            self._note_replicas(self._pool)
        running = len(self._flying) - len(self._queue) - len(self._ledger.waiting)
        self._progress.finished(results, running, [self._amount(result.trial) for result in results])
        nothing_to_wait_for = self._ledger.waiting == set(self._flying)
        if self._ledger.due() or nothing_to_wait_for or (driver.adaptive and self._ledger.waiting):
            self._flush_and_tell(driver)

    def _note_replicas(self, pool: Pool) -> None:
        """Keep count of deaths, and show which replicas there are."""
        self._ledger.note_deaths(pool.deaths())
        if (replicas := pool.replicas()) != self._replicas:
            self._replicas = replicas
            self._progress.replicas(replicas)

    def _flush_and_tell(self, driver: Driver) -> None:
        """Put what waits on disk, and then tell the driver of it."""
        for row in self._ledger.flush():
            if row.state is TrialState.FAILED:
                self._failed.add(row.trial_id)
            for proposal in self._flying.pop(row.trial_id).proposals:
                driver.tell(proposal, row)

    def _drop_queue(self) -> None:
        """Forget what has not been sent to the pool; it runs when the study is resumed."""
        for flight in self._queue:
            del self._flying[flight.trial.trial_id]
        self._queue.clear()
