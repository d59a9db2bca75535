"""Metrics of Ray: what replicas publish, and what its agent offers where its dashboard's packages are installed."""

import socket
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest
from ray.util import metrics as ray_metrics

from clipsweep.cluster.counters import Counters
from clipsweep.cluster.on_ray.metrics import PoolMetrics, ReplicaMetrics

SERVED = """
import os, sys, tempfile, time, urllib.request
port, home = sys.argv[1], tempfile.mkdtemp(prefix="ray", dir="/tmp")
os.environ |= {"HOME": home, "RAY_AUTH_MODE": "disabled"}
import ray
from clipsweep.cluster.counters import Counters
ray.init(num_cpus=1, include_dashboard=False, object_store_memory=100 * 2**20, _temp_dir=home + "/ray",
         _metrics_export_port=int(port), log_to_driver=False)

@ray.remote
class Actor:
    def publish(self):
        from clipsweep.cluster.on_ray.metrics import ReplicaMetrics
        ReplicaMetrics("replica-0").publish(Counters(trials=3, svd_seconds=1.5))

actor = Actor.remote()
ray.get(actor.publish.remote())
address, wanted = ray.nodes()[0]["NodeManagerAddress"], ("ray_clipsweep_trials_total", "ray_clipsweep_seconds_total")
for _ in range(120):
    time.sleep(0.5)
    try:
        text = urllib.request.urlopen(f"http://{address}:{port}/metrics", timeout=5).read().decode()
    except OSError:
        continue
    if all(name in text for name in wanted):
        print("".join(line + "\\n" for line in text.splitlines() if line.startswith(wanted)))
        break
ray.shutdown()
"""


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, dict[str, str] | None]]:
    """What Ray is asked to add, metric by metric."""
    added: list[tuple[str, float, dict[str, str] | None]] = []

    def note(self: Any, value: float = 1.0, tags: dict[str, str] | None = None) -> None:
        added.append((self.info["name"], value, tags))

    monkeypatch.setattr(ray_metrics.Counter, "inc", note)
    return added


def test_what_is_new_is_published_and_nothing_twice(counted: list[Any]) -> None:
    published = ReplicaMetrics("replica-0")
    published.publish(Counters(trials=2, rows=20, svd_seconds=1.5))
    counted.clear()
    published.publish(Counters(trials=3, rows=20, svd_seconds=1.75))
    assert counted == [
        ("clipsweep_trials", 1, {"replica": "replica-0"}),
        ("clipsweep_seconds", 0.25, {"replica": "replica-0", "phase": "svd"}),
    ]


def test_each_number_of_a_replica_is_published(counted: list[Any]) -> None:
    numbers = {name: 1 for name, _ in Counters().values()}
    ReplicaMetrics("replica-0").publish(Counters(**numbers))
    assert len(counted) == len(numbers)


def test_a_replica_that_was_replaced_is_counted(counted: list[Any]) -> None:
    PoolMetrics().restarted()
    assert counted == [("clipsweep_restarts", 1.0, None)]


@pytest.mark.ray
@pytest.mark.skipif(find_spec("opentelemetry") is None, reason="Ray serves metrics with the packages of ray[default]")
def test_ray_serves_what_a_replica_publishes() -> None:
    with socket.socket() as free:
        free.bind(("", 0))
        port = free.getsockname()[1]
    done = subprocess.run([sys.executable, "-c", SERVED, str(port)], capture_output=True, text=True, timeout=300)
    seconds, trials = sorted(line for line in done.stdout.splitlines() if line)
    assert 'replica="replica-0"' in trials
    assert trials.endswith(" 3.0")
    assert 'phase="svd"' in seconds
    assert seconds.endswith(" 1.5")
