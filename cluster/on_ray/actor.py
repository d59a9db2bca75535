"""A replica in a process of its own. What it logs would stay there, so its answers carry its warnings."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from clipsweep.cluster.replica_warnings import PACKAGE, WarningCollector
from clipsweep.cluster.work import Answer, Batch, ReplicaSettings
from clipsweep.trials.base.loading import nothing_collected
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.spec.result import TrialResult
from clipsweep.trials.spec.start import Start


class ReplicaActor:
    """Forwards each call to its replica; a call that returns something hands over the warnings logged so far."""

    def __init__(self, settings: ReplicaSettings, name: str) -> None:
        """Load the replica. Its warnings meanwhile come with the first answer.

        Raises:
            ClipsweepError: As ``Replica`` does.
        """
        self._warnings = WarningCollector()
        logging.getLogger(PACKAGE).addHandler(self._warnings)  # for as long as the process lives
        with nothing_collected():
            from clipsweep.cluster.on_ray.metrics import ReplicaMetrics
            from clipsweep.cluster.replica import Replica  # here, as it loads torch and transformers

        self._replica = Replica(settings, name)
        self._metrics = ReplicaMetrics(name)
        self._metrics.publish(self._replica.counters())

    def describe(self) -> Answer[dict[str, str]]:
        """Name, node, process and device."""
        return Answer(value=self._replica.describe(), warnings=self._warnings.take())

    def evaluate(self, batch: Batch) -> Answer[list[TrialResult]]:
        """Run a batch."""
        results = self._replica.evaluate(batch)
        self._metrics.publish(self._replica.counters())
        return Answer(value=results, warnings=self._warnings.take())

    def announce(self, starts: Sequence[Start]) -> None:
        """Hear where trials will start."""
        self._replica.announce(starts)

    def spectrum(self, places: Sequence[Place]) -> Answer[list[MatrixSpectrum]]:
        """Singular values of the original matrices at these places.

        Raises:
            EvaluationError: A matrix has weights that are not finite.
        """
        spectra = self._replica.spectrum(places)
        return Answer(value=spectra, warnings=self._warnings.take())
