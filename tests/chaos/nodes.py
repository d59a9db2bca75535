"""Nodes that leave and join while a study runs over three of them; and the loss of the head.

The nodes are Ray's own ``cluster_utils.Cluster``, all on this machine: each is a raylet with one core, so that the node
of a replica is known by the raylet that is its parent.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from ray.cluster_utils import Cluster

from tests.benchmarks.document import Line, at_most
from tests.chaos.tools import runner
from tests.chaos.tools.judge import Verdict, judge_rows, read_rows
from tests.chaos.tools.processes import Processes, wait_until
from tests.chaos.tools.ray_run import AT_MOST_S, Ground, RayRun, ground
from tests.chaos.tools.warm import WarmProcess

NODES = 3
FOLLOW_S = 10.0  # until replicas are where the nodes are
NOT_REMOVED = 1  # exit code of a run whose cluster is gone, which is not ours to start again
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}


class ThreeNodes:
    """A cluster of nodes with one core each, and replicas by node."""

    def __init__(self) -> None:
        """Start them, with the variables of this process."""
        self.cluster = Cluster(initialize_head=True, shutdown_at_exit=False, head_node_args=NODE)
        self.others = [self.add() for _ in range(NODES - 1)]

    def add(self) -> Any:
        """One more node."""
        return self.cluster.add_node(**NODE)

    def remove(self, node: Any) -> None:
        """End a node without a warning."""
        self.cluster.remove_node(node, allow_graceful=False)

    def replicas_on(self, node: Any) -> int:
        """Replicas whose parent is this node's raylet."""
        return sum(_is_replica(child) for child in _children(raylet_of(node)))


def raylet_of(node: Any) -> int:
    """Process id of a node's raylet."""
    return int(node.all_processes["raylet"][0].process.pid)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_replica(process: psutil.Process) -> bool:
    try:
        return "ray::ReplicaActor" in " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False


@contextmanager
def variables(values: dict[str, str]) -> Iterator[None]:
    """Set some variables of this process inside the block; nodes inherit them."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class NodeRuns:
    """Studies on a cluster of their own; and how long replicas took to follow."""

    def __init__(self, shared: Ground, seed: int) -> None:
        """Nothing runs yet."""
        self._shared = shared
        self._rng = random.Random(seed)
        self.follow_s: list[float] = []

    def change(self, process: WarmProcess, root: Path) -> tuple[str, Verdict]:
        """Take a node away half-way, and add another: the study ends, with the same rows, on what there is."""
        with self._started(process, root) as (run, nodes):
            job = run.start()
            rows = self._rng.randrange(40, 80)
            wait_until(lambda: run.n_rows() >= rows or run.ended(0), AT_MOST_S)
            before = read_rows(run.study)
            nodes.remove(nodes.others[0])
            added = nodes.add()
            began = time.monotonic()
            there = wait_until(lambda: nodes.replicas_on(added) or run.ended(0), AT_MOST_S)
            took_s = time.monotonic() - began
            self.follow_s.append(took_s)
            code, verdict = run.finish_driver(job, {0})
            if not there or not before:
                verdict += Verdict(ended_wrong=("the study ended before its nodes changed",))
        verdict += judge_rows(before, run.study, self._shared.clean, whole=True)
        return (
            f"node removed and added at {len(before)} rows: a replica there after {took_s:.1f} s, exit {code}",
            verdict,
        )

    def head(self, process: WarmProcess, root: Path) -> tuple[str, Verdict]:
        """Kill the head: the run ends with a sentence, and another, without the cluster, completes the study.

        Replicas on the other nodes still answer, so that a run may end well before it misses the head.
        """
        with self._started(process, root) as (run, nodes):
            job = run.start()
            wait_until(lambda: run.n_rows() >= 40 or run.ended(0), AT_MOST_S)
            nodes.remove(nodes.cluster.head_node)
            code, verdict = run.finish_driver(job, {0, NOT_REMOVED})
            before = read_rows(run.study)
        if code == 0:
            verdict += judge_rows({}, run.study, self._shared.clean, whole=True)
        alone = self._shared.run(process, root / "alone", "grid", 0)
        alone.study = run.study
        _, resumed = alone.finish(alone.start(), {0})
        verdict += resumed + judge_rows(before, run.study, self._shared.clean, whole=True)
        return f"head killed: exit {code} with {len(before)} rows, resumed without it", verdict

    @contextmanager
    def _started(self, process: WarmProcess, root: Path) -> Iterator[tuple[RayRun, ThreeNodes]]:
        """Three nodes, and a study that joins them; all of it is gone afterwards."""
        processes = Processes(root / "ray")
        (root / "ray").mkdir(parents=True)
        with variables({**processes.environment, "RAY_AUTH_MODE": "disabled"}):
            nodes = ThreeNodes()
        try:
            address = nodes.cluster.address
            yield self._shared.run(process, root, "grid", "auto", address=address), nodes
        finally:
            nodes.cluster.shutdown()
            processes.end()


def measure(wanted: runner.Wanted, log: runner.Log) -> Sequence[Line]:
    """A change of nodes and the loss of the head, each so many times."""
    with ground(1) as shared:
        runs = NodeRuns(shared, wanted.seed)
        kinds = [runs.change, runs.head] * (wanted.times or 3)
        shared.bench.each_noted(lambda process, root, kind: kind(process, root), kinds, log)
    follow_s = max(runs.follow_s, default=0.0)
    return [*log.lines("nodes"), at_most("until a replica is on a new node, worst", follow_s, "s", FOLLOW_S)]


if __name__ == "__main__":
    runner.main(measure, default_times=1)
