"""The in-process pool: one replica in the driver, no Ray. For debugging, tests and tiny studies."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from clipsweep.cluster.pool import CALLS_PER_REPLICA, Pool
from clipsweep.cluster.replica import Replica
from clipsweep.cluster.work import Batch, NormsRequest, ReplicaSettings
from clipsweep.trials.base.errors import PoolError
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import Trial


class LocalPool(Pool):
    """Evaluates one trial at each ``collect``, so that the caller sees results, and signals, between trials."""

    def __init__(self, settings: ReplicaSettings) -> None:
        """Load the model in this process."""
        self._replica = Replica(settings, "in-process")
        self._waiting: deque[tuple[Trial, int]] = deque()
        self._calls: deque[int] = deque()

    def free_calls(self) -> int:
        """How many batches can be submitted now without waiting."""
        return CALLS_PER_REPLICA - len(self._calls)

    def submit(self, batch: Batch) -> None:
        """Queue a batch."""
        if not self.free_calls():
            raise PoolError("no call is free; collect results before submitting more.")
        self._calls.append(len(batch.trials))
        self._waiting.extend((trial, batch.microbatch) for trial in batch.trials)

    def collect(self, timeout_s: float) -> list[TrialResult]:  # noqa: ARG002 - nothing to wait for
        """Evaluate the next trial; takes as long as it takes."""
        if not self._waiting:
            return []
        trial, microbatch = self._waiting.popleft()
        results = self._replica.evaluate(Batch(trials=(trial,), microbatch=microbatch))
        self._calls[0] -= 1
        if not self._calls[0]:
            self._calls.popleft()
        return results

    def spectrum(self, places: Sequence[Place]) -> Iterator[list[MatrixSpectrum]]:
        """Singular values, one place at a time."""
        return (self._replica.spectrum([place]) for place in places)

    def screen(self, requests: Sequence[ScreenRequest]) -> Iterator[list[Screened]]:
        """What a backward pass predicts, one request at a time."""
        return ([self._replica.screen(request)] for request in requests)

    def norms(self, requests: Sequence[NormsRequest]) -> Iterator[list[TrialNorms]]:
        """What demonstrations do, one trial at a time."""
        trials = ((request, trial) for request in requests for trial in request.trials)
        return (self._replica.norms(replace(request, trials=(trial,))) for request, trial in trials)

    def announce(self, starts: Sequence[Start]) -> None:
        """Tell the replica where trials will start."""
        self._replica.announce(starts)

    def deaths(self) -> Mapping[str, int]:
        """None: this process would die with the replica."""
        return {}

    def replicas(self) -> list[dict[str, str]]:
        """The one replica."""
        return [self._replica.describe()]

    def close(self) -> None:
        """Drop what is queued."""
        self._waiting.clear()
        self._calls.clear()
