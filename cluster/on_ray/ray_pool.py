"""The Ray pool: batches, and looks that score nothing, go to replicas, and to others where a replica is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayError, RayTaskError

from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.on_ray.deadlines import traits
from clipsweep.cluster.on_ray.deaths import Deaths, failed_norms, failed_result
from clipsweep.cluster.on_ray.fleet import LOOK_UP_S, Fleet, heard
from clipsweep.cluster.on_ray.worker import Call, Worker
from clipsweep.cluster.pool import CALLS_PER_REPLICA, DEATHS_ALLOWED, Pool
from clipsweep.cluster.work import Batch, Look, NormsRequest, ReplicaSettings
from clipsweep.trials.base.errors import ClipsweepError, PoolError, last_line
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult
from clipsweep.trials.spec.start import Start

FETCH_S = 60


class RayPool(Pool):
    """At most two calls in flight for each replica; one that dies or hangs is replaced and its trials run elsewhere.

    The trials of a dead replica run again one by one. A trial that was running at three deaths is failed. Replicas
    follow the nodes of the cluster: new ones get theirs, and join when these are loaded.
    """

    def __init__(
        self, settings: ReplicaSettings, cluster: ClusterSettings, deaths: Mapping[str, int] | None = None
    ) -> None:
        """Start the replicas and wait for the first, and a little longer for the others.

        Args:
            settings: Of each replica.
            cluster: How many, and where.
            deaths: Of replicas in earlier runs, by the trial that they were running.

        Raises:
            SpecError: The cluster does not have what was asked for.
            PoolError: No cluster at the address, or no replica starts.
            ClipsweepError: Every node refused the checkpoint or rows: the first reason.
        """
        self._retry: deque[Batch] = deque()
        self._looks: deque[Look] = deque()
        self._failed: list[TrialResult] = []
        self._unmeasured: list[TrialNorms] = []
        self._deaths = Deaths(deaths or {})
        self._fleet = Fleet(settings, cluster, self._run_again, self._deaths)
        try:
            self._fleet.open()
        except BaseException:
            self.close()
            raise

    def free_calls(self) -> int:
        """How many batches can be submitted now; trials of a dead replica go first."""
        return max(0, self._room() - len(self._retry))

    def submit(self, batch: Batch) -> None:
        """Send a batch to the replica with the fewest calls."""
        if not self._room():
            raise PoolError("no call is free; collect results before submitting more.")
        min(self._fleet.serving(), key=lambda worker: len(worker.calls)).send(batch)

    def collect(self, timeout_s: float) -> list[TrialResult]:
        """Wait for the first batch to finish; looks after replicas and nodes meanwhile."""
        results: list[TrialResult] = []
        for ref in self._fleet.wait(timeout_s):
            results += self._take(ref)
        while self._retry and self._room():
            self.submit(self._retry.popleft())
        failed, self._failed = self._failed, []
        return results + failed

    def spectrum(self, places: Sequence[Place]) -> Iterator[list[MatrixSpectrum]]:
        """Singular values, one place at a time on each replica: an SVD lasts longer than its call is on its way."""
        return self._look_at(places)

    def screen(self, requests: Sequence[ScreenRequest]) -> Iterator[list[Screened]]:
        """What a backward pass predicts, one request at a time on each replica."""
        return self._look_at(requests)

    def norms(self, requests: Sequence[NormsRequest]) -> Iterator[list[TrialNorms]]:
        """What demonstrations do, one request at a time on each replica; the trials of a dead one are sent one by one.

        One that was being measured at three deaths failed.
        """
        return self._look_at(requests)

    def _look_at(self, looks: Sequence[Look]) -> Iterator[list[Any]]:
        """Answers to what scores nothing, one call at a time on each replica, as they come."""
        self._looks = deque(looks)
        try:
            while self._looks or self._unmeasured or any(worker.calls for worker in self._fleet.workers):
                free = [worker for worker in self._fleet.serving() if not worker.calls]
                for worker in free[: len(self._looks)]:
                    worker.send(self._looks.popleft())
                answers = [found for ref in self._fleet.wait(LOOK_UP_S) for found in self._fetch(ref) or []]
                failed, self._unmeasured = self._unmeasured, []
                yield answers + failed
        finally:
            self._looks.clear()
            self._unmeasured.clear()
            for worker in self._fleet.workers:
                worker.forget_looks()

    def announce(self, starts: Sequence[Start]) -> None:
        """Tell the replicas, those to come too, where trials will start."""
        self._fleet.announce(starts)

    def deaths(self) -> Mapping[str, int]:
        """Deaths of replicas by the trial that they were running."""
        return self._deaths.of_trials

    def replicas(self) -> list[dict[str, str]]:
        """Name, node, process and device of each live replica, in the order of their numbers."""
        by_number = sorted(self._fleet.workers, key=lambda worker: (len(worker.name), worker.name))
        return [worker.about for worker in by_number]

    def close(self) -> None:
        """End the actors, and Ray itself where this pool started it."""
        self._fleet.close()

    def _room(self) -> int:
        return sum(CALLS_PER_REPLICA - len(worker.calls) for worker in self._fleet.serving())

    def _take(self, ref: Any) -> list[TrialResult]:
        """Results of a call that ended; none where it was lost."""
        results: list[TrialResult] = self._fetch(ref) or []
        for result in results:
            self._deaths.forgive(result)
        return results

    def _fetch(self, ref: Any) -> Any:
        """What a call answered, its warnings logged; None where it was lost, and is queued again.

        Raises:
            ClipsweepError: What was wrong with a look.
        """
        worker = next((worker for worker in self._fleet.workers if ref in worker.calls), None)
        if worker is None:  # it was lost meanwhile, and its calls with it
            return None
        try:
            answer = ray.get(ref, timeout=FETCH_S)
        except RayActorError as error:
            self._fleet.lose(worker, last_line(error), for_certain=isinstance(error, ActorUnavailableError))
            return None
        except RayError as error:  # most often the result was lost on its way, with its node or for lack of memory
            call = worker.answered(ref)
            if isinstance(error, RayTaskError) and not isinstance(call, Batch):
                raise (error.cause if isinstance(error.cause, ClipsweepError) else error) from None
            self._run_again(call, worker, last_line(error), charged=True)
            return None
        worker.known |= traits(worker.answered(ref))
        self._fleet.progressed()
        return heard(worker, answer)

    def _run_again(self, call: Call, worker: Worker, reason: str, charged: bool) -> None:
        """Queue a call's trials one by one, or its look; fail trials that were running at too many deaths.

        Raises:
            PoolError: A look has taken too many replicas with it.
        """
        if isinstance(call, Batch):
            for trial in call.trials:
                if charged and self._deaths.charge(trial):
                    self._failed.append(failed_result(trial, call.microbatch, worker.about, reason))
                else:
                    self._retry.append(replace(call, trials=(trial,)))
        elif isinstance(call, NormsRequest):
            for trial in call.trials:
                alone = replace(call, trials=(trial,))
                if charged and self._deaths.charge(alone):
                    self._unmeasured.append(failed_norms(trial, reason))
                else:
                    self._looks.append(alone)
        elif charged and self._deaths.charge(call):
            raise PoolError(
                f"{DEATHS_ALLOWED} replicas died while {_words_of(call)}; the last: {reason}. Expected it to fit in "
                f"the device's memory: give each replica more, or search among fewer layers."
            )
        else:
            self._looks.append(call)


def _words_of(look: Place | ScreenRequest) -> str:
    """What a replica does for a look, as messages say it."""
    if isinstance(look, ScreenRequest):
        return f"screening {look.prompt_set.shots} shots, seed {look.prompt_set.demo_seed}"
    layer, role = look
    return f"computing the singular values of layer {layer} {role}"
