"""A cluster of several nodes whose nodes come and go while a pool runs; prints what was seen, as one JSON document.

It is a process of its own, as a process joins one cluster only. ``test_nodes.py`` runs it and reads the document.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ray.cluster_utils import Cluster

from clipsweep.cluster.fit import ClusterSettings
from clipsweep.cluster.on_ray import fleet, session
from clipsweep.cluster.on_ray.actor import ReplicaActor
from clipsweep.cluster.on_ray.ray_pool import RayPool
from clipsweep.cluster.work import Answer, Batch
from clipsweep.trials.base.errors import ModelError, PoolError
from tests.cluster.pool_contract import drain, make_trial, replica_settings

STORE = 80 * 2**20
RATES = [round(0.05 * step, 2) for step in range(1, 19)]


class DeclaredActor(ReplicaActor):
    """Says which GPU it sees, and refuses where its node was started without the model."""

    def load(self) -> Answer[dict[str, str]]:
        if os.environ.get("LACKS_MODEL"):
            raise ModelError("no model here.")
        answer = super().load()
        return Answer(value=answer.value | {"gpu": os.environ["CUDA_VISIBLE_DEVICES"]}, warnings=answer.warnings)


class Heard(logging.Handler):
    """Keeps what is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def seconds_until(true: Callable[[], bool], pool: RayPool) -> float:
    """How long it took; bounded, so that a lost replica fails the test."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < 120, "it did not come true in time"
        pool.collect(0.1)
        time.sleep(0.1)
    return time.monotonic() - began


def run(model: Path, cache: Path) -> dict[str, Any]:
    """Start, add, remove, drain, and lose the head."""
    seen: dict[str, Any] = {}
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 1, "num_gpus": 0, "object_store_memory": STORE, "include_dashboard": False},
    )
    first = cluster.add_node(num_cpus=2, num_gpus=2, object_store_memory=STORE)
    cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=STORE, env_vars={"LACKS_MODEL": "1"})
    settings, card = replica_settings(model, cache)
    heard = Heard()
    logging.getLogger("clipsweep").addHandler(heard)
    asked = ClusterSettings(
        replicas=None, gpus_per_replica=1, cpus_per_replica=1, address=cluster.address, bytes_per_replica=2**20
    )
    pool = RayPool(settings, asked)
    seconds_until(lambda: len(pool.replicas()) == 2, pool)
    seen["gpus"] = sorted(replica["gpu"] for replica in pool.replicas())
    seen["refusals"] = [text for text in heard.texts if "cannot load" in text]

    third = cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=STORE)
    seen["joined_s"] = seconds_until(lambda: len(pool.replicas()) == 3, pool)

    trials = [make_trial(card, rate, layer) for rate in RATES for layer in (0, 1)]
    batches = [Batch(trials=tuple(trials[start::6]), microbatch=1) for start in range(6)]
    while batches and pool.free_calls():
        pool.submit(batches.pop())
    cluster.remove_node(first, allow_graceful=False)
    results = drain(pool, len(trials))
    seen["results"] = len({result.trial.trial_id for result in results}), len(results)
    seen["states"] = sorted({result.state.value for result in results})
    seen["removed_s"] = seconds_until(lambda: len(pool.replicas()) == 1, pool)

    cluster.add_node(num_cpus=1, num_gpus=1, object_store_memory=STORE)
    seconds_until(lambda: len(pool.replicas()) == 2, pool)
    for rate in (0.33, 0.66):
        pool.submit(Batch(trials=tuple(make_trial(card, rate, shots=shots) for shots in (1, 2)), microbatch=1))
    reason = [
        "--reason",
        "DRAIN_NODE_REASON_PREEMPTION",
        "--reason-message",
        "spot",
        "--deadline-remaining-seconds",
        "99",
    ]
    command = ["ray", "drain-node", "--address", cluster.address, "--node-id", third.node_id, *reason]
    subprocess.run([str(Path(sys.executable).parent / command[0]), *command[1:]], check=True, capture_output=True)
    seen["drained"] = len(drain(pool, 4))
    seconds_until(lambda: len(pool.replicas()) == 1, pool)
    seen["deaths"] = dict(pool.deaths())
    seen["told"] = [text for text in heard.texts if "about to go" in text]

    os.kill(cluster.head_node.all_processes["gcs_server"][0].process.pid, signal.SIGKILL)
    began = time.monotonic()
    try:
        seconds_until(lambda: False, pool)
    except PoolError as error:
        seen["lost"] = str(error)
    pool.close()
    seen["lost_s"] = time.monotonic() - began
    seen["warnings"] = heard.texts
    cluster.shutdown()
    return seen


if __name__ == "__main__":
    with patch.object(fleet, "ReplicaActor", DeclaredActor), patch.object(session, "SILENCE_JOINED_S", 3.0):
        sys.stdout.write(json.dumps(run(Path(sys.argv[1]), Path(sys.argv[2]))) + "\n")
