"""The Ray that a pool runs on: joined, or started by this process and then started anew when it dies."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import ray
from ray._private import worker as ray_worker
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import RayError

from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.ray_cluster.connect import connect, starts_ray
from clipsweep.cluster.ray_cluster.guard import Guard
from clipsweep.cluster.ray_cluster.placement import Node
from clipsweep.trials.base.errors import NotStartedError, PoolError, first_line

ANSWER_S = 1
SILENCE_S = 15.0  # of our own head, which is on this machine
SILENCE_JOINED_S = 35.0  # of another: Ray ends this process by itself after 60 s
SHUTDOWN_S = 20.0
RESTARTS_ALLOWED = 5  # one after the other, without a result between them
NEEDED = {"gcs_server", "raylet"}
RESUME = "What is finished is stored; run again to resume."
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What is seen of the cluster.

    Attributes:
        nodes: Those that are up; None while the head does not answer.
        loss: Why the cluster is lost, as a sentence's subject and verb; None while it is not.
    """

    nodes: tuple[Node, ...] | None
    loss: str | None = None


class RaySession:
    """Opens Ray, looks at its nodes without waiting for a dead head, and ends what it started."""

    def __init__(self, cluster: ClusterSettings) -> None:
        """Nothing is opened yet."""
        self._cluster = cluster
        self._opened = False
        self._guard: Guard | None = None
        self._answered_at = 0.0
        self._restarts = 0

    @property
    def is_ours(self) -> bool:
        """Whether this session started Ray."""
        return self._guard is not None

    def open(self) -> None:
        """Join the cluster, or start one under a guard.

        Raises:
            NoClusterError: There is none at the address.
        """
        self._opened = not ray.is_initialized()
        if starts_ray(self._cluster):
            self._start()
        else:
            connect(self._cluster)
        self._answered_at = time.monotonic()

    def _start(self) -> None:
        """Start Ray under a guard; once more where one of its processes died meanwhile.

        Raises:
            PoolError: It does not start, or other machines would reach it.
        """
        self._guard = Guard()
        with self._guard.marking():
            try:
                connect(self._cluster)
            except NotStartedError as error:
                log.warning("Ray does not start (%s); it is tried once more", first_line(error.__cause__ or error))
                self._guard.kill_all()
                self._shut_down()
                connect(self._cluster)

    def look(self) -> View:
        """The nodes as they are now; takes a second at most."""
        nodes = _ask_nodes(is_ours=self.is_ours)
        now = time.monotonic()
        if nodes is None:
            silence = now - self._answered_at
            allowed = SILENCE_S if self.is_ours else SILENCE_JOINED_S
            loss = f"its head has not answered for {silence:.0f} s" if silence > allowed else None
        else:
            self._answered_at, loss = now, None
            if (here := node_here()) is not None and all(node.number != here for node in nodes):
                loss = "the node of this process is dead"
        return View(nodes=nodes, loss=self._dead_process() or loss)

    def progressed(self) -> None:
        """Hear that a trial has finished: restarts are counted anew."""
        self._restarts = 0

    def restart(self, loss: str) -> None:
        """Start Ray again where it is ours.

        Raises:
            PoolError: It is not, or it has been started too often in vain.
        """
        if self._guard is None:
            raise PoolError(f"the Ray cluster is lost: {loss}. {RESUME}")
        self._restarts += 1
        if self._restarts > RESTARTS_ALLOWED:
            raise PoolError(f"Ray was started {self._restarts} times and died each time: {loss}. {RESUME}")
        log.warning("Ray is lost: %s; it is started again, and what was in flight runs again", loss)
        self._guard.kill_all()
        self._shut_down()
        if ray.is_initialized():
            raise PoolError(f"Ray is lost, and this process cannot leave it: {loss}. {RESUME}")
        time.sleep(2 ** (self._restarts - 1) - 1)
        with _signals_kept():
            self._guard.close()
            try:
                self.open()
            except (ConnectionError, ValueError, RuntimeError, OSError) as error:
                raise PoolError(f"Ray is lost, and does not start again ({first_line(error)}). {RESUME}") from error

    def close(self) -> None:
        """Leave the cluster; end Ray, and whatever of it is left, where this session started it."""
        if self._opened:
            self._shut_down()
        if self._guard is not None:
            self._guard.close()
            self._guard = None

    def _shut_down(self) -> None:
        """Leave Ray in bounded time: with a head that is stopped it would wait for ever."""
        thread = threading.Thread(target=ray.shutdown, daemon=True)
        thread.start()
        thread.join(SHUTDOWN_S)
        if thread.is_alive() and self._guard is not None:
            self._guard.kill_all()
            thread.join(SHUTDOWN_S)
        if thread.is_alive():
            atexit.unregister(ray.shutdown)  # it would wait for the head again
            atexit.register(_leave)

    def _dead_process(self) -> str | None:
        """Which process of our own Ray is dead, if one is that it needs."""
        node = ray_worker._global_node
        if self._guard is None or node is None:
            return None
        dead = sorted(NEEDED & {kind for kind, _ in node.dead_processes()})
        return f"its {dead[0]} died" if dead else None


def _leave() -> None:
    """End this process, which has failed, at once: in Ray's libraries it would crash while a thread waits in them."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


def node_here() -> str | None:
    """Node that this process is connected to; None where it speaks to the cluster through a proxy."""
    return None if _is_client() else str(ray.get_runtime_context().get_node_id())


def _is_client() -> bool:
    """Whether the address was ``ray://...``: such a driver sees less of the cluster."""
    return bool(ray.util.client.ray.is_connected())


def _ask_nodes(*, is_ours: bool) -> tuple[Node, ...] | None:
    """The nodes that are up; None where the head does not answer at once.

    ``ray.nodes`` would wait for a dead head until Ray ends the process. The first call here ends, and goes first.
    """
    if _is_client():
        return tuple(
            Node(number=node["NodeID"], name=node["NodeManagerHostname"], resources=node["Resources"])
            for node in ray.nodes()
            if node["Alive"]
        )
    head = ray_worker.global_worker.gcs_client
    try:
        infos = head.get_all_node_info(timeout=ANSWER_S)
    except RayError:
        return None
    draining = set() if is_ours else set(ray._private.state.state.get_draining_nodes())  # ours has one node, this one
    return tuple(
        Node(
            number=info.node_id.hex(),
            name=info.node_manager_hostname,
            resources=dict(info.resources_total),
            draining=info.node_id.hex() in draining,
        )
        for info in infos.values()
        if info.state == GcsNodeInfo.GcsNodeState.Value("ALIVE")
    )


@contextmanager
def _signals_kept() -> Iterator[None]:
    """Ray takes SIGTERM for itself where it starts; give it back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
