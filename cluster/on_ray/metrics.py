"""What replicas have done, as metrics of Ray: its agent on each node offers them to Prometheus."""

from __future__ import annotations

from ray.util.metrics import Counter

from clipsweep.cluster.counters import Counters

PHASE = "_seconds"  # the end of a counter's name that is one phase of the time
DESCRIPTIONS = {
    "trials": "Trials answered, failed ones included.",
    "failed": "Trials that failed.",
    "rows": "Rows that trials have seen.",
    "halvings": "Times that a microbatch was halved, as memory had run out.",
    "factors_found": "Factors of a matrix that the cache on disk had.",
    "factors_computed": "Factors of a matrix that had to be computed.",
}


class ReplicaMetrics:
    """Publishes a replica's counters, from its process."""

    def __init__(self, replica: str) -> None:
        """Nothing has been published.

        Args:
            replica: Its name, a tag of each metric.
        """
        self._tags = {"replica": replica}
        self._published = Counters()
        self._counters = {
            name: Counter(f"clipsweep_{name}", description=text, tag_keys=("replica",))
            for name, text in DESCRIPTIONS.items()
        }
        self._seconds = Counter(
            "clipsweep_seconds", description="Time of a replica by phase.", tag_keys=("replica", "phase")
        )

    def publish(self, counters: Counters) -> None:
        """Add what was done since the last time."""
        for name, value in counters.since(self._published).values():
            if value > 0:
                phase = name.removesuffix(PHASE)
                counter, more = (self._seconds, {"phase": phase}) if phase != name else (self._counters[name], {})
                counter.inc(value, tags=self._tags | more)
        self._published = counters


class PoolMetrics:
    """Publishes what happens to replicas, from the process that runs the study."""

    def __init__(self) -> None:
        """Nothing has happened."""
        self._restarts = Counter("clipsweep_restarts", description="Replicas that died and were replaced.")

    def restarted(self) -> None:
        """Count a replica that was replaced."""
        self._restarts.inc()
