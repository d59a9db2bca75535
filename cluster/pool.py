"""The pool's interface: batches go in, results come out, whoever computes them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from clipsweep.cluster.work import Batch, NormsRequest
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult
from clipsweep.trials.spec.start import Start

CALLS_PER_REPLICA = 2
DEATHS_ALLOWED = 3  # of replicas that were running a trial: then it is failed


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
    def spectrum(self, places: Sequence[Place]) -> Iterator[list[MatrixSpectrum]]:
        """Singular values of the original matrices at ``places``, split over the replicas; no batch may be in flight.

        A dead replica's share goes elsewhere. To stop early, stop iterating: at most what is in flight is lost.

        Args:
            places: Layers, counted from 0, and roles that the model has.

        Yields:
            All matrices of one place as they come, in no order; nothing when no place was finished for a while, so
            that the caller can look up from waiting.

        Raises:
            EvaluationError: A matrix has weights that are not finite.
            PoolError: No replica is left and none can be started, or too many died over one place.
        """

    @abstractmethod
    def screen(self, requests: Sequence[ScreenRequest]) -> Iterator[list[Screened]]:
        """What a backward pass predicts of clips, one request on each replica at a time; no batch may be in flight.

        A dead replica's requests go elsewhere. To stop early, stop iterating: at most what is in flight is lost.

        Args:
            requests: What is screened.

        Yields:
            Answers as they come, in no order; nothing when none was finished for a while, so that the caller can look
            up from waiting.

        Raises:
            EvaluationError: The model or its matrices cannot be screened.
            PoolError: No replica is left and none can be started, or too many died over one request.
        """

    @abstractmethod
    def norms(self, requests: Sequence[NormsRequest]) -> Iterator[list[TrialNorms]]:
        """What demonstrations do by the paper's theory under trials' weights; no batch may be in flight.

        The replicas were told to measure the theory. One request is on each at a time, in-process one trial. A dead
        replica's requests go elsewhere. To stop early, stop iterating: at most what is in flight is lost.

        Args:
            requests: In the order in which they are begun.

        Yields:
            Answers as they come, in no order; nothing when none was finished for a while, so that the caller can look
            up from waiting.

        Raises:
            TaskError: The prompts cannot be tokenised.
            PoolError: No replica is left and none can be started, or too many died over one request.
        """

    @abstractmethod
    def announce(self, starts: Sequence[Start]) -> None:
        """Tell the replicas where trials will start, as ``ReplicaSettings.starts`` does when that is known before."""

    @abstractmethod
    def deaths(self) -> Mapping[str, int]:
        """How many replicas died while they ran a trial, by its identity; a trial that completes has none."""

    @abstractmethod
    def replicas(self) -> list[dict[str, str]]:
        """Name, node and device of each live replica."""

    @abstractmethod
    def close(self) -> None:
        """End all replicas. Batches in flight are dropped."""
