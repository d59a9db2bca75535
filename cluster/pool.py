"""The pool's interface: batches go in, results come out, whoever computes them."""

from __future__ import annotations

from abc import ABC, abstractmethod

from cluster.replica import Batch
from trials.values import TrialResult

CALLS_PER_REPLICA = 2


class Pool(ABC):
    """Replicas that evaluate batches. One thread uses it; close it when done."""

    @abstractmethod
    def free_calls(self) -> int:
        """How many batches can be submitted now without waiting."""

    @abstractmethod
    def submit(self, batch: Batch) -> None:
        """Hand over a batch; returns at once.

        Raises:
            PoolError: No call is free.
        """

    @abstractmethod
    def collect(self, timeout_s: float) -> list[TrialResult]:
        """Wait for results: those of a finished batch, or none if nothing finished in time or nothing is in flight.

        Raises:
            PoolError: No replica is left and none can be started.
        """

    @abstractmethod
    def replicas(self) -> list[dict[str, str]]:
        """Name, node and device of each live replica."""

    @abstractmethod
    def close(self) -> None:
        """End all replicas. Batches in flight are dropped."""
