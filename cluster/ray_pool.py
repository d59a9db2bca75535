"""The Ray pool: an actor for each replica, pinned to its GPU or CPU cores. The one place that touches ray."""

from __future__ import annotations

import logging
import os
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import ray
from ray.exceptions import RayActorError, RayTaskError

from cluster.pool import CALLS_PER_REPLICA, Pool
from cluster.replica import Batch, Replica, ReplicaSettings
from trials.errors import ClipsweepError, PoolError
from trials.values import Trial, TrialResult, TrialState
from trials.versions import package_version

DEATHS_ALLOWED = 3
OBJECT_STORE_BYTES = 150 * 2**20
PLACEMENT_TIMEOUT_S = 300
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterSettings:
    """How many replicas, and what each is given.

    Attributes:
        replicas: How many; None for as many as fit.
        gpus_per_replica: GPUs of each, or a share of one; not used where the cluster has no GPU.
        cpus_per_replica: CPU cores of each, which is also its number of threads on a node without a GPU.
        address: Ray cluster to join; None for ``$RAY_ADDRESS``, else a new one on this machine.
        bytes_per_replica: Host memory that each needs on a node without a GPU; bounds ``replicas=None``.
    """

    replicas: int | None
    gpus_per_replica: float
    cpus_per_replica: int
    address: str | None
    bytes_per_replica: int


@dataclass(slots=True)
class _Worker:
    """An actor with its calls in flight, oldest first."""

    name: str
    actor: Any
    about: dict[str, str]
    calls: dict[Any, Batch] = field(default_factory=dict)


def connect(settings: ClusterSettings) -> None:
    """Join the cluster at ``settings.address``, or start one on this machine; replicas print nothing here.

    Raises:
        PoolError: There is no cluster at that address.
    """
    address = settings.address or os.environ.get("RAY_ADDRESS")
    common: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR, "ignore_reinit_error": True}
    if address is None:
        ray.init(include_dashboard=False, object_store_memory=OBJECT_STORE_BYTES, **common)
        return
    try:
        ray.init(address=address, **common)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise PoolError(
            f"no Ray cluster at cluster.address {address!r} ({error}). Start one with 'ray start'."
        ) from error


class RayPool(Pool):
    """At most two calls in flight for each replica; a dead replica is replaced and its trials run elsewhere.

    The trials of a dead replica run again one by one. A trial that was running at three deaths is failed.
    """

    def __init__(self, settings: ReplicaSettings, cluster: ClusterSettings) -> None:
        """Start the replicas and wait until each has loaded its model.

        Raises:
            PoolError: The cluster does not have what was asked for, or does not give it in time.
            ClipsweepError: A replica refused its checkpoint or rows.
        """
        self._started_ray = not ray.is_initialized()
        self._workers: list[_Worker] = []
        self._retry: deque[Batch] = deque()
        self._failed: list[TrialResult] = []
        self._deaths: dict[str, int] = {}
        self._numbers = iter(range(10**9))
        self._settings = settings
        try:
            connect(cluster)
            gpus, n_replicas = fit_replicas(cluster, ray.cluster_resources())
            self._actor_class = ray.remote(num_cpus=cluster.cpus_per_replica, num_gpus=gpus, max_restarts=0)(Replica)
            self._workers = self._start(n_replicas)
        except BaseException:
            self.close()
            raise

    def free_calls(self) -> int:
        """How many batches can be submitted now; trials of a dead replica go first."""
        free = sum(CALLS_PER_REPLICA - len(worker.calls) for worker in self._workers)
        return max(0, free - len(self._retry))

    def submit(self, batch: Batch) -> None:
        """Send a batch to the replica with the fewest calls."""
        worker = min(self._workers, key=lambda worker: len(worker.calls))
        if len(worker.calls) >= CALLS_PER_REPLICA:
            raise PoolError("no call is free; collect results before submitting more.")
        worker.calls[worker.actor.evaluate.remote(batch)] = batch

    def collect(self, timeout_s: float) -> list[TrialResult]:
        """Wait for the first batch to finish; replaces replicas that died meanwhile."""
        refs = [ref for worker in self._workers for ref in worker.calls]
        done, _ = ray.wait(refs, num_returns=1, timeout=timeout_s) if refs else ([], [])
        results = [result for ref in done for result in self._take(ref)]
        while self._retry and sum(CALLS_PER_REPLICA - len(worker.calls) for worker in self._workers):
            self.submit(self._retry.popleft())
        failed, self._failed = self._failed, []
        return results + failed

    def replicas(self) -> list[dict[str, str]]:
        """Name, node and device of each live replica."""
        return [worker.about for worker in self._workers]

    def running(self, trial_id: str) -> dict[str, str] | None:
        """The replica whose current call holds a trial; None if it waits or is done."""
        for worker in self._workers:
            current = next(iter(worker.calls.values()), None)
            if current and any(trial.trial_id == trial_id for trial in current.trials):
                return worker.about
        return None

    def close(self) -> None:
        """End the actors, and Ray itself where this pool started it."""
        for worker in self._workers:
            ray.kill(worker.actor)
        self._workers = []
        if self._started_ray:
            ray.shutdown()

    def _start(self, count: int) -> list[_Worker]:
        """Start actors and wait for their models."""
        names = [f"replica-{next(self._numbers)}" for _ in range(count)]
        actors = [self._actor_class.remote(self._settings, name) for name in names]
        loading = [actor.describe.remote() for actor in actors]
        _, waiting = ray.wait(loading, num_returns=count, timeout=PLACEMENT_TIMEOUT_S)
        if waiting:
            raise PoolError(
                f"{len(waiting)} of {count} replicas did not start within {PLACEMENT_TIMEOUT_S} s. "
                f"Ask for fewer with --replicas, or free the cluster's GPUs and cores."
            )
        try:
            about = [ray.get(ref) for ref in loading]
        except RayActorError as error:
            cause = _cause(error)
            raise cause or PoolError(f"a replica died while loading its model: {error}") from error
        triples = zip(names, actors, about, strict=True)
        return [_Worker(name=name, actor=actor, about=facts) for name, actor, facts in triples]

    def _take(self, ref: Any) -> list[TrialResult]:
        worker = next(worker for worker in self._workers if ref in worker.calls)
        try:
            results: list[TrialResult] = ray.get(ref)
        except RayActorError as error:
            self._replace(worker, error)
            return []
        del worker.calls[ref]
        return results

    def _replace(self, dead: _Worker, error: RayActorError) -> None:
        """Queue a dead replica's trials one by one, fail those that killed too many, start another replica."""
        batches = list(dead.calls.values())
        self._workers.remove(dead)
        log.warning("%s died (%s); its %d calls run elsewhere", dead.name, _first_line(error), len(batches))
        for number, batch in enumerate(batches):
            for trial in batch.trials:
                if number == 0:
                    self._deaths[trial.trial_id] = self._deaths.get(trial.trial_id, 0) + 1
                if self._deaths.get(trial.trial_id, 0) >= DEATHS_ALLOWED:
                    self._failed.append(_killer(trial, batch.microbatch, dead, error))
                else:
                    self._retry.append(Batch(trials=(trial,), microbatch=batch.microbatch))
        try:
            self._workers += self._start(1)
        except ClipsweepError as refusal:
            if not self._workers:
                raise PoolError(f"the last replica died and no other starts: {refusal}") from refusal
            log.warning("%s is not replaced: %s", dead.name, refusal)


def fit_replicas(cluster: ClusterSettings, resources: dict[str, float]) -> tuple[float, int]:
    """GPUs of each replica and how many replicas fit on the cluster.

    Raises:
        PoolError: More was asked for than there is.
    """
    cpus, gpus = int(resources.get("CPU", 0)), resources.get("GPU", 0.0)
    share = cluster.gpus_per_replica if gpus else 0.0
    room = cpus // cluster.cpus_per_replica
    if share:
        room = min(room, int(gpus / share + 1e-6))
    wanted = cluster.replicas
    if wanted is None:
        held = room if share else int(resources.get("memory", 0) // cluster.bytes_per_replica)
        wanted = min(room, max(1, held))
    if wanted < 1 or wanted > room:
        raise PoolError(
            f"cluster.replicas asks for {max(wanted, 1)} replicas with {cluster.cpus_per_replica} CPU cores and "
            f"{share:g} GPUs each; the cluster has {cpus} cores and {gpus:g} GPUs, which is room for {room}. "
            f"Lower --replicas or what each is given; --replicas 0 runs in this process."
        )
    return share, wanted


def _cause(error: RayActorError) -> ClipsweepError | None:
    """The refusal behind an actor that died in its constructor."""
    cause = getattr(error, "cause", None) or error.__cause__
    if isinstance(cause, RayTaskError):
        cause = cause.cause
    return cause if isinstance(cause, ClipsweepError) else None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


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
        error=f"{DEATHS_ALLOWED} replicas died while running this trial; the last: {_first_line(error)}",
        traceback=str(error),
        started_at=now,
        finished_at=now,
        versions={name: package_version(name) for name in ("clipsweep", "torch", "transformers", "ray")},
    )
