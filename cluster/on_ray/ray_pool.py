"""The Ray pool: an actor for each replica, pinned to its GPU or CPU cores."""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from clipsweep.cluster.fit import ClusterSettings, fit_replicas, room_on
from clipsweep.cluster.on_ray.actor import ReplicaActor
from clipsweep.cluster.on_ray.connect import connect
from clipsweep.cluster.on_ray.metrics import PoolMetrics
from clipsweep.cluster.pool import CALLS_PER_REPLICA, Pool
from clipsweep.cluster.replica_warnings import log_again
from clipsweep.cluster.work import Answer, Batch, ReplicaSettings, Value
from clipsweep.trials.base.errors import ClipsweepError, PoolError, last_line
from clipsweep.trials.base.versions import recorded_versions
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import Trial

DEATHS_ALLOWED = 3
START_TIMEOUT_S = 1800
LOOK_UP_S = 0.5
GRACE_S = 60
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Worker:
    """An actor with its calls in flight, oldest first."""

    name: str
    actor: Any
    about: dict[str, str] = field(default_factory=dict)
    calls: dict[Any, Batch] = field(default_factory=dict)


class RayPool(Pool):
    """At most two calls in flight for each replica; a dead replica is replaced and its trials run elsewhere.

    The trials of a dead replica run again one by one. A trial that was running at three deaths is failed. Replicas
    that are still loading join when they are ready.
    """

    def __init__(self, settings: ReplicaSettings, cluster: ClusterSettings) -> None:
        """Start the replicas and wait for the first, and a little longer for the others.

        Raises:
            SpecError: The cluster does not have what was asked for.
            PoolError: No cluster at the address, or no replica starts.
            ClipsweepError: A replica refused its checkpoint or rows.
        """
        self._started_ray = not ray.is_initialized()
        self._workers: list[_Worker] = []
        self._loading: dict[Any, _Worker] = {}
        self._retry: deque[Batch] = deque()
        self._failed: list[TrialResult] = []
        self._deaths: dict[str, int] = {}
        self._numbers = itertools.count()
        try:
            connect(cluster)
            self._metrics = PoolMetrics()
            nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
            gpus, n_replicas = fit_replicas(cluster, nodes)
            on_one_node = max(room_on(node, cluster.cpus_per_replica, gpus) for node in nodes)
            self._settings = replace(settings, sharers=min(n_replicas, on_one_node))
            self._actor_class = ray.remote(num_cpus=cluster.cpus_per_replica, num_gpus=gpus, max_restarts=0)(
                ReplicaActor
            )
            for _ in range(n_replicas):
                self._start_one()
            self._await_first()
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
        worker = min(self._workers, key=lambda worker: len(worker.calls))
        worker.calls[worker.actor.evaluate.remote(batch)] = batch

    def collect(self, timeout_s: float) -> list[TrialResult]:
        """Wait for the first batch to finish; replaces replicas that died meanwhile."""
        results: list[TrialResult] = []
        for ref in self._wait([ref for worker in self._workers for ref in worker.calls], timeout_s):
            results += self._take(ref)
        while self._retry and self._room():
            self.submit(self._retry.popleft())
        failed, self._failed = self._failed, []
        return results + failed

    def spectrum(self, places: Sequence[Place]) -> Iterator[list[MatrixSpectrum]]:
        """Singular values, one place at a time on each replica: an SVD lasts longer than its call is on its way."""
        waiting, flying = deque(places), dict[Any, tuple[_Worker, Place]]()
        while waiting or flying:
            busy = [worker.name for worker, _ in flying.values()]
            for worker in [worker for worker in self._workers if worker.name not in busy][: len(waiting)]:
                place = waiting.popleft()
                flying[worker.actor.spectrum.remote([place])] = worker, place
            found: list[MatrixSpectrum] = []
            for ref in self._wait(flying, LOOK_UP_S):
                worker, place = flying.pop(ref)
                try:
                    found += _heard(worker, ray.get(ref))
                except RayTaskError as error:
                    raise (error.cause if isinstance(error.cause, ClipsweepError) else error) from None
                except RayError as error:
                    self._lose_place(place, worker, error)
                    waiting.append(place)
            yield found

    def announce(self, starts: Sequence[Start]) -> None:
        """Tell the replicas, those to come too, where trials will start."""
        self._settings = replace(self._settings, starts=(*self._settings.starts, *starts))
        for worker in [*self._workers, *self._loading.values()]:
            worker.actor.announce.remote(starts)  # an actor takes its calls in order: before any trial

    def replicas(self) -> list[dict[str, str]]:
        """Name, node, process and device of each live replica."""
        return [worker.about for worker in self._workers]

    def close(self) -> None:
        """End the actors, and Ray itself where this pool started it."""
        for worker in [*self._workers, *self._loading.values()]:
            ray.kill(worker.actor)
        self._workers, self._loading = [], {}
        if self._started_ray:
            ray.shutdown()

    def _room(self) -> int:
        return sum(CALLS_PER_REPLICA - len(worker.calls) for worker in self._workers)

    def _wait(self, refs: Iterable[Any], timeout_s: float) -> list[Any]:
        """Wait for the first of these calls, or for a replica that loads, which is admitted; gives finished calls.

        Raises:
            PoolError: No replica is left.
        """
        if not self._workers and not self._loading:
            raise PoolError("no replica is left. What is finished is stored; run again to resume.")
        waited = [*self._loading, *refs]
        done, _ = ray.wait(waited, num_returns=1, timeout=timeout_s) if waited else ([], [])
        loaded = [ref for ref in done if ref in self._loading]
        for ref in loaded:
            self._admit(ref)
        return [ref for ref in done if ref not in loaded]

    def _lose_place(self, place: Place, worker: _Worker, error: RayError) -> None:
        """Replace a replica that died over a place; a place that takes too many replicas with it ends the study.

        Raises:
            PoolError: It was the last death allowed.
        """
        name = f"layer {place[0]} {place[1]}"
        if isinstance(error, RayActorError):
            self._replace(worker, error)
        deaths = self._deaths[name] = self._deaths.get(name, 0) + 1
        if deaths >= DEATHS_ALLOWED:
            raise PoolError(
                f"{deaths} replicas died while computing the singular values of {name}; the last: {last_line(error)}. "
                f"Expected it to fit in the device's memory: give each replica more, or search among fewer layers."
            ) from error

    def _start_one(self) -> None:
        """Ask for an actor; it counts once its model is loaded."""
        name = f"replica-{next(self._numbers)}"
        actor = self._actor_class.remote(self._settings, name)
        self._loading[actor.describe.remote()] = _Worker(name=name, actor=actor)

    def _await_first(self) -> None:
        """Wait until one replica is ready, then a grace period for all."""
        for waited_s in range(0, START_TIMEOUT_S, GRACE_S):
            if waited_s:
                log.warning("no replica is ready after %d s; are GPUs and cores free? ('ray status')", waited_s)
            if ray.wait(list(self._loading), num_returns=1, timeout=GRACE_S)[0]:
                break
        ready, _ = ray.wait(list(self._loading), num_returns=len(self._loading), timeout=GRACE_S)
        if not ready:
            raise PoolError(
                f"no replica was ready within {START_TIMEOUT_S} s. Look whether the cluster's GPUs and cores are "
                f"free ('ray status'), or ask for less with --replicas."
            )
        for ref in ready:
            self._admit(ref)
        if not self._workers:
            raise PoolError("no replica could load its model; the reasons stand above.")

    def _admit(self, ref: Any) -> None:
        """Take a replica that has loaded its model, or hear why it could not.

        Raises:
            ClipsweepError: It refused its checkpoint or rows.
        """
        worker = self._loading.pop(ref)
        try:
            worker.about = _heard(worker, ray.get(ref))
        except RayError as error:
            if (refusal := _refusal(error)) is not None:
                raise refusal from error
            log.warning("%s died while loading its model: %s", worker.name, last_line(error))
            return
        self._workers.append(worker)

    def _take(self, ref: Any) -> list[TrialResult]:
        """Results of a finished call; where it failed, its trials run again."""
        worker = next((worker for worker in self._workers if ref in worker.calls), None)
        if worker is None:  # its replica died, and an earlier result of the same wait said so
            return []
        try:
            answer: Answer[list[TrialResult]] = ray.get(ref)
        except RayActorError as error:
            self._replace(worker, error)
            return []
        except RayError as error:  # the result was lost on its way, with its node or for lack of memory
            self._run_again(worker.calls.pop(ref), worker, error)
            return []
        del worker.calls[ref]
        return _heard(worker, answer)

    def _replace(self, dead: _Worker, error: RayError) -> None:
        """Queue a dead replica's trials and ask for another replica."""
        log.warning("%s died (%s); its %d calls run elsewhere", dead.name, last_line(error), len(dead.calls))
        self._metrics.restarted()
        self._workers.remove(dead)
        ray.kill(dead.actor)  # one that is merely out of reach would keep its GPU
        for number, batch in enumerate(dead.calls.values()):
            self._run_again(batch, dead, error, charged=number == 0)
        self._start_one()

    def _run_again(self, batch: Batch, worker: _Worker, error: RayError, *, charged: bool = True) -> None:
        """Queue a batch's trials one by one; fail those that were running at too many deaths."""
        for trial in batch.trials:
            deaths = self._deaths[trial.trial_id] = self._deaths.get(trial.trial_id, 0) + charged
            if deaths >= DEATHS_ALLOWED:
                self._failed.append(_killer(trial, batch.microbatch, worker, error))
            else:
                self._retry.append(Batch(trials=(trial,), microbatch=batch.microbatch))


def _heard(worker: _Worker, answer: Answer[Value]) -> Value:
    """What a replica answered; the warnings that came with it are logged here, where the user can see them."""
    log_again(worker.name, answer.warnings)
    return answer.value


def _refusal(error: RayError) -> ClipsweepError | None:
    """Our own error behind an actor that died in its constructor.

    Ray keeps the constructor's ``RayTaskError`` as the first argument of its ``ActorDiedError``.
    """
    behind = error.args[0] if error.args else None
    cause = getattr(behind, "cause", None)
    return cause if isinstance(cause, ClipsweepError) else None


def _killer(trial: Trial, microbatch: int, dead: _Worker, error: Exception) -> TrialResult:
    """The result of a trial that was running each time a replica died."""
    now = datetime.now(UTC)
    return TrialResult(
        trial=trial,
        state=TrialState.FAILED,
        microbatch=microbatch,
        seconds=0.0,
        replica=dead.name,
        node=dead.about["node"],
        device=dead.about["device"],
        error=f"{DEATHS_ALLOWED} replicas died while running this trial; the last: {last_line(error)}",
        traceback=str(error),
        started_at=now,
        finished_at=now,
        versions=recorded_versions(),
    )
