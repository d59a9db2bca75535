"""What a run counts: trials, rows, failures, replicas, and the time left."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.progress.goal import Goal, Pace
from clipsweep.orchestrator.progress.left import RacedLeft, Rows
from clipsweep.orchestrator.progress.replica_lives import ReplicaLives
from clipsweep.orchestrator.progress.time_left import TimeLeft
from clipsweep.orchestrator.status.live import Live
from clipsweep.trials.spec.result import TrialResult, TrialState


class Counts:
    """The numbers of a run."""

    def __init__(self, goal: Goal) -> None:
        """Nothing has run; the clock of the rates starts."""
        self.replicas = ReplicaLives()
        self.waits_for: str | None = None
        self.waits_since: datetime | None = None
        self.last_result_at: datetime | None = None
        self.failed = 0
        self.running = 0
        self._began_at = datetime.now(UTC)
        self._ended_at: datetime | None = None
        self.aim(goal)

    def aim(self, goal: Goal) -> None:
        """Count towards a goal, from now on."""
        self._goal = goal
        self.left = goal.left
        self.done, self.total = goal.known, goal.known + goal.trials
        self._time_left = TimeLeft()
        self.start_clock()

    def start_clock(self) -> None:
        """Let rates be of the time from now on: replicas are up, or the layers have been chosen."""
        self._began = time.monotonic()
        self._time_left.start(self._began)

    @property
    def pace(self) -> Pace:
        """What is counted."""
        return self._goal.pace

    @property
    def ended(self) -> Amount:
        """What has run."""
        return self.left.ended

    def begin(self, rows: Rows, amount: Amount) -> None:
        """Count a further part of a trial."""
        self.total += amount.trials
        self.left.begin(rows, amount)

    def begin_tests(self, tests: Amount) -> None:
        """Count the winners on the test split."""
        self.total += tests.trials
        self.left.begin_tests(tests)

    def end(self, result: TrialResult, amount: Amount) -> None:
        """Count a result."""
        failed = result.state is TrialState.FAILED
        self.failed += failed
        self.done += not failed
        self.left.end(result.trial.rows, amount)

    def arrive(self, results: Sequence[TrialResult]) -> None:
        """Note when results came, after each was counted."""
        self.waits_for, self.last_result_at = None, datetime.now(UTC)
        self.replicas.count(results, self.last_result_at)
        self._time_left.note(time.monotonic(), self.ended)

    def see_replicas(self, replicas: Sequence[Mapping[str, str]]) -> bool:
        """Hear which replicas are up; whether that has changed."""
        return self.replicas.see(replicas, datetime.now(UTC))

    def finish(self) -> None:
        """Nothing runs any more."""
        self.running, self.waits_for, self._ended_at = 0, None, datetime.now(UTC)

    def live(self) -> Live:
        """All of it at this moment."""
        now, elapsed = datetime.now(UTC), max(1e-6, time.monotonic() - self._began)
        left, ended = self.left.amount(), self.ended
        seconds, at_most = self._seconds_left(left, elapsed)
        return Live(
            pid=os.getpid(),
            host=platform.node(),
            began_at=self._began_at,
            updated_at=now,
            ended_at=self._ended_at,
            waits_for=self.waits_for,
            done=self.done,
            failed=self.failed,
            running=self.running,
            total=self.total,
            rows=ended.rows,
            rows_left=left.rows if self.pace is Pace.ROWS and left is not None else None,
            trials_per_second=ended.trials / elapsed if ended.trials else None,
            rows_per_second=ended.rows / elapsed if ended.trials else None,
            seconds_left=None if self._ended_at else seconds,
            at_most=at_most,
            last_result_at=self.last_result_at,
            replicas=self.replicas.up(now),
            lost=self.replicas.lost(),
            replicas_lost=self.replicas.n_lost,
        )

    def _seconds_left(self, left: Amount | None, elapsed: float) -> tuple[float | None, bool]:
        """Time left, and whether it is the most that it can be."""
        told = None if left is None or not left.trials else self._time_left.seconds(left)
        limit = None if self._goal.limit_s is None else max(0.0, self._goal.limit_s - elapsed)
        if limit is not None and (told is None or limit < told):
            return limit, True
        return told, told is not None and isinstance(self.left, RacedLeft) and self.left.is_bound
