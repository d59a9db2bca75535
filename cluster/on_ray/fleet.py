"""The replicas of a Ray pool: started, admitted, ended where they hang, and kept in step with the cluster's nodes."""

from __future__ import annotations

import itertools
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import ray
from ray.exceptions import ActorUnschedulableError, RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from clipsweep.cluster.fit import ClusterSettings, fit_replicas
from clipsweep.cluster.on_ray.actor import ReplicaActor
from clipsweep.cluster.on_ray.deadlines import AWAY_S, COLD_FLOORS, limit_s
from clipsweep.cluster.on_ray.deaths import Deaths
from clipsweep.cluster.on_ray.metrics import PoolMetrics
from clipsweep.cluster.on_ray.placement import Node, Placement, words_of_refusal
from clipsweep.cluster.on_ray.session import RESUME, RaySession
from clipsweep.cluster.on_ray.worker import Call, Worker
from clipsweep.cluster.replica_warnings import log_again
from clipsweep.cluster.work import Answer, ReplicaSettings, Value
from clipsweep.trials.base.errors import ClipsweepError, NoMemoryError, PoolError, last_line
from clipsweep.trials.spec.start import Start

START_TIMEOUT_S = 1800
NO_REPLICA_S = 600  # in mid-study: spot machines come back
LOOK_UP_S = 0.5
LOOK_AFTER_S = 1.0
GRACE_S = 60
HUNG = "it was ended, as it did not answer"
log = logging.getLogger(__name__)


class Fleet:
    """The replicas and the Ray that they run on.

    Attributes:
        workers: Replicas that have loaded their model.
    """

    def __init__(
        self,
        settings: ReplicaSettings,
        cluster: ClusterSettings,
        lost: Callable[[Call, Worker, str, bool], None],
        deaths: Deaths,
    ) -> None:
        """Nothing is started yet.

        Args:
            settings: Of each replica.
            cluster: How many, and where.
            lost: Hears of each call that a replica takes with it: the call, the replica, why, and whether the call is
                to be charged with it.
            deaths: Charged so far.
        """
        self._settings, self._cluster = settings, cluster
        self._lost, self._deaths = lost, deaths
        self._session = RaySession(cluster)
        self.workers: list[Worker] = []
        self._placed: dict[Any, Worker] = {}  # by the call that tells the process; their model loads after that
        self._loading: dict[Any, Worker] = {}  # by the call that loads
        self._nodes: tuple[Node, ...] = ()
        self._numbers = itertools.count()
        self._refusal: ClipsweepError | None = None
        self._has_served = False
        self._looked_at = self._served_at = time.monotonic()
        self._look_at = 0.0

    def open(self) -> None:
        """Open Ray, start the replicas, wait for the first, and a little longer for the others.

        Raises:
            SpecError: The cluster does not have what was asked for.
            PoolError: No cluster at the address, or no replica starts.
            ClipsweepError: Every node refused the checkpoint or rows: the first reason.
        """
        self._session.open()
        self._metrics = PoolMetrics()
        self._nodes = self._first_nodes()
        share, _ = fit_replicas(self._cluster, [node.resources for node in self._nodes])
        self._placement = Placement(self._cluster, share)
        self._actor_class = ray.remote(num_cpus=self._cluster.cpus_per_replica, num_gpus=share, max_restarts=0)(
            ReplicaActor
        )
        self._await_first()

    def all(self) -> list[Worker]:
        """Replicas, those that load included."""
        return [*self.workers, *self._loading.values()]

    def serving(self) -> list[Worker]:
        """Replicas that may be sent calls."""
        return [worker for worker in self.workers if not worker.draining]

    def announce(self, starts: Sequence[Start]) -> None:
        """Tell the replicas, those to come too, where trials will start."""
        self._settings = replace(self._settings, starts=(*self._settings.starts, *starts))
        for worker in self.all():
            worker.actor.announce.remote(starts)  # an actor takes its calls in order: before any trial

    def wait(self, timeout_s: float) -> list[Any]:
        """Wait for the first call to end, or for a replica that loads, which is admitted; gives calls that ended.

        Raises:
            PoolError: No replica is left and none can be started, or the cluster is lost.
        """
        if time.monotonic() >= self._look_at:
            self._look_after()
        calls = [ref for worker in self.workers for ref in worker.calls]
        waited = [*self._placed, *self._loading, *calls]
        if not waited:
            if not self.workers:
                time.sleep(min(timeout_s, LOOK_UP_S))  # until nodes are looked at again
            return []
        done, _ = ray.wait(waited, num_returns=1, timeout=timeout_s)
        for ref in done:
            if ref in self._placed:
                self._note_process(ref)
            elif ref in self._loading:
                self._admit(ref)
        return [ref for ref in done if ref in calls]

    def lose(self, worker: Worker, reason: str, *, for_certain: bool = False) -> None:
        """Hand back a dead replica's calls; the oldest is charged with its death. Another replica is started soon."""
        log.warning("%s died (%s); its %d calls run elsewhere", worker.name, reason, len(worker.calls))
        self._metrics.restarted()
        now = time.monotonic()
        self._placement.died(worker.node, now, now - worker.up_since)
        self._drop(worker, reason, charged=not worker.draining, for_certain=for_certain)

    def progressed(self) -> None:
        """Hear that a call has ended well."""
        self._session.progressed()

    def close(self) -> None:
        """End the actors, and Ray itself where this process started it."""
        for worker in self.all():
            worker.end()
        self._forget_workers()
        self._session.close()

    def _start_on(self, node: Node) -> None:
        """Ask for an actor on a node; it counts once its model is loaded."""
        name = f"replica-{next(self._numbers)}"
        pinned = NodeAffinitySchedulingStrategy(node.number, soft=False)
        settings = replace(self._settings, sharers=max(1, self._placement.room(node)))
        actor = self._actor_class.options(scheduling_strategy=pinned).remote(settings, name)
        worker = Worker(name=name, node=node, actor=actor, began=time.monotonic())
        self._placed[actor.pid.remote()] = self._loading[actor.load.remote()] = worker

    def _note_process(self, ref: Any) -> None:
        """Learn which process an actor has; its load begins now."""
        worker = self._placed.pop(ref)
        worker.began = time.monotonic()
        try:
            worker.pid = ray.get(ref)
        except RayError:  # it died; the call that loads says so too
            return

    def _admit(self, ref: Any) -> None:
        """Take a replica that has loaded its model, or hear why it could not."""
        worker = self._loading.pop(ref)
        now = time.monotonic()
        try:
            worker.about = heard(worker, ray.get(ref))
        except ActorUnschedulableError:  # its node went meanwhile
            return
        except RayTaskError as error:
            reason = error.cause if isinstance(error.cause, ClipsweepError) else PoolError(last_line(error))
            self._refuse(worker, reason, now)
        except RayError as error:
            worker.end()
            self._placement.failed_to_load(worker.node, now)
            log.warning("%s died while loading its model: %s", worker.name, last_line(error))
        else:
            self._placement.loaded(worker.node)
            worker.began = worker.up_since = now
            self._has_served = True
            self.workers.append(worker)

    def _refuse(self, worker: Worker, reason: ClipsweepError, now: float) -> None:
        """Note that a node cannot load the model; where that is for good, the others that load there are ended."""
        self._refusal = self._refusal or reason
        worker.end()
        is_new, goes_on = self._placement.refused(worker.node, reason, now), len(self._nodes) > 1 or bool(self.workers)
        if is_new and goes_on:
            log.warning(words_of_refusal(worker.node, reason))
        if not isinstance(reason, NoMemoryError):
            for ref in [ref for ref, other in self._loading.items() if other.node.number == worker.node.number]:
                self._loading.pop(ref).end()
        self._forget_placed()

    def _drop(self, worker: Worker, reason: str, *, charged: bool, for_certain: bool = False) -> None:
        """End a replica, and queue its calls."""
        if worker in self.workers:
            self.workers.remove(worker)
        for ref in [ref for ref, other in self._loading.items() if other is worker]:
            del self._loading[ref]
        self._forget_placed()
        worker.end(for_certain=for_certain)  # one that is merely out of reach would keep its GPU
        self._look_at = 0.0
        for number, call in enumerate(worker.calls.values()):
            self._lost(call, worker, reason, charged and number == 0)

    def _forget_placed(self) -> None:
        """Wait for no process of a replica that is not loading any more."""
        loading = list(self._loading.values())
        self._placed = {ref: worker for ref, worker in self._placed.items() if worker in loading}

    def _forget_workers(self) -> None:
        self.workers, self._loading, self._placed = [], {}, {}

    def _first_nodes(self) -> tuple[Node, ...]:
        """The nodes of a cluster that was just opened.

        Raises:
            PoolError: Its head does not answer.
        """
        while True:
            view = self._session.look()
            if view.nodes:
                return view.nodes
            if view.loss is not None:
                raise PoolError(f"the Ray cluster is lost: {view.loss}. {RESUME}")

    def _await_first(self) -> None:
        """Wait until one replica is ready, then a grace period for all."""
        began, warned = time.monotonic(), 0
        while not self.workers:
            self.wait(LOOK_UP_S)
            waited_s = time.monotonic() - began
            if waited_s >= (warned + 1) * GRACE_S and not self.workers:
                warned += 1
                log.warning("no replica is ready after %d s; are GPUs and cores free? ('ray status')", waited_s)
            if waited_s >= START_TIMEOUT_S:
                raise PoolError(
                    f"no replica was ready within {START_TIMEOUT_S} s. Look whether the cluster's GPUs and cores are "
                    f"free ('ray status'), or ask for less with --replicas."
                )
        until = time.monotonic() + GRACE_S
        while self._loading and time.monotonic() < until:
            self.wait(LOOK_UP_S)

    def _look_after(self) -> None:
        """Look at nodes and replicas: start Ray again where it is lost, end what hangs, follow the nodes.

        Raises:
            PoolError: No replica is left and none can be started, or the cluster is lost.
        """
        now = time.monotonic()
        away_s, self._looked_at = max(0.0, now - self._looked_at - AWAY_S), now
        self._look_at = now + LOOK_AFTER_S
        for worker in self.all():
            worker.began += away_s  # where this process was stopped, its machine may have been, and its replicas
        view = self._session.look()
        if view.loss is not None:
            self._start_again(view.loss)
        elif view.nodes is not None:
            self._nodes = view.nodes
            self._end_hung()
            self._follow_nodes()
        if self.workers or self._loading:
            self._served_at = now
        elif (
            self._placement.hopeless(self._nodes, at_first=not self._has_served) or now - self._served_at > NO_REPLICA_S
        ):
            raise self._no_replica()

    def _no_replica(self) -> ClipsweepError:
        """Why the study ends: the refusal itself where nothing was ever loaded."""
        if self._refusal is not None and not self._has_served:
            return self._refusal
        if not self._has_served:
            return PoolError("no replica could load its model; the reasons stand above.")
        return PoolError(f"no replica is left, and no node can have one; the reasons stand above. {RESUME}")

    def _start_again(self, loss: str) -> None:
        """Take every replica for lost, start Ray again, and replicas there."""
        for worker in self.workers:
            for call in worker.calls.values():
                self._lost(call, worker, loss, False)
        self._forget_workers()
        self._session.restart(loss)
        self._metrics = PoolMetrics()
        self._nodes = self._first_nodes()
        self._look_at = 0.0

    def _follow_nodes(self) -> None:
        """Give nodes that are up their replicas; take those from nodes that are gone or about to go."""
        up = {node.number: node for node in self._nodes}
        for worker in self.all():
            node = up.get(worker.node.number)
            if node is None:
                if worker in self.workers:
                    log.warning("node %s is gone; %d calls of %s run elsewhere", *_where(worker))
                self._drop(worker, "its node is gone", charged=False)
            elif node.draining and not worker.draining:
                worker.draining = True
                log.warning("node %s is about to go; %d calls of %s are finished, and no more sent", *_where(worker))
            if worker.draining and not worker.calls:
                self._drop(worker, "its node is about to go", charged=False)
        there = Counter(worker.node.number for worker in self.all() if not worker.draining)
        for node in [*self._placement.missing(self._nodes, there, time.monotonic())]:
            self._start_on(node)

    def _end_hung(self) -> None:
        """End replicas whose oldest call, or whose load, takes much longer than expected."""
        now = time.monotonic()
        for worker in [worker for worker in self.workers if worker.calls]:
            ref, call = next(iter(worker.calls.items()))
            limit = limit_s(call, worker.known, self._deaths.over(call), self._cluster.hang_after_s)
            if now - worker.began > limit and not ray.wait([ref], timeout=0)[0]:
                log.warning("%s of node %s has not answered for %.0f s, and %.0f s are allowed: it is taken for hung",
                    worker.name, worker.about["node"], now - worker.began, limit)  # fmt: skip
                self.lose(worker, HUNG, for_certain=True)
        limit = COLD_FLOORS * self._cluster.hang_after_s
        placed = list(self._placed.values())  # these wait for free GPUs and cores
        for worker in [worker for worker in self._loading.values() if worker not in placed]:
            if now - worker.began > limit:
                log.warning("%s of node %s has loaded for %.0f s: it is taken for hung, and ended",
                    worker.name, worker.node.name, now - worker.began)  # fmt: skip
                self._placement.failed_to_load(worker.node, now)
                self._drop(worker, HUNG, charged=False, for_certain=True)


def _where(worker: Worker) -> tuple[str, int, str]:
    return worker.node.name, len(worker.calls), worker.name


def heard(worker: Worker, answer: Answer[Value]) -> Value:
    """What a replica answered; the warnings that came with it are logged here, where the user can see them."""
    log_again(worker.name, answer.warnings)
    return answer.value
