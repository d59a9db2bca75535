"""Deaths of replicas, charged to what they were running; and what is said of a trial that took too many with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from clipsweep.cluster.pool import DEATHS_ALLOWED
from clipsweep.cluster.work import Batch, Look
from clipsweep.trials.base.versions import recorded_versions
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import Trial


class Deaths:
    """How many replicas died over each trial, those of earlier runs included, and over each look."""

    def __init__(self, earlier: Mapping[str, int]) -> None:
        """Take those of earlier runs."""
        self._trials = dict(earlier)
        self._looks: dict[Look, int] = {}

    def charge(self, each: Trial | Look) -> bool:
        """Count one more; gives whether it was the last that is allowed."""
        if isinstance(each, Trial):
            self._trials[each.trial_id] = count = self._trials.get(each.trial_id, 0) + 1
        else:
            self._looks[each] = count = self._looks.get(each, 0) + 1
        return count >= DEATHS_ALLOWED

    def forgive(self, result: TrialResult) -> None:
        """Forget the deaths over a trial that has completed: something else was their cause."""
        if result.state is not TrialState.FAILED:
            self._trials.pop(result.trial.trial_id, None)

    @property
    def of_trials(self) -> Mapping[str, int]:
        """By trial identity."""
        return self._trials

    def over(self, call: Batch | Look) -> int:
        """The most that any trial of a batch is charged with, or a look."""
        if isinstance(call, Batch):
            return max(self._trials.get(trial.trial_id, 0) for trial in call.trials)
        return self._looks.get(call, 0)


def failed_result(trial: Trial, microbatch: int, about: Mapping[str, str], reason: str) -> TrialResult:
    """The result of a trial that was running each time a replica died.

    Args:
        trial: The trial.
        microbatch: Queries per forward pass that it ran with.
        about: Of the last replica.
        reason: Why that died.
    """
    now = datetime.now(UTC)
    return TrialResult(
        trial=trial,
        state=TrialState.FAILED,
        microbatch=microbatch,
        seconds=0.0,
        replica=about["name"],
        node=about["node"],
        device=about["device"],
        error=f"{DEATHS_ALLOWED} replicas died while running this trial; the last: {reason}",
        traceback=reason,
        started_at=now,
        finished_at=now,
        versions=recorded_versions(),
    )


def failed_norms(trial: Trial, reason: str) -> TrialNorms:
    """The answer for a trial that was being measured each time a replica died; ``reason`` is why the last did."""
    error = f"{DEATHS_ALLOWED} replicas died while measuring this trial; the last: {reason}"
    return TrialNorms(trial_id=trial.trial_id, norms=None, error=error)
