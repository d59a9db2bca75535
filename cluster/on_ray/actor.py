"""A replica in a process of its own. What it logs would stay there, so its answers carry its warnings."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipsweep.cluster.replica_warnings import PACKAGE, WarningCollector
from clipsweep.cluster.work import Answer, Batch, NormsRequest, ReplicaSettings
from clipsweep.trials.base.errors import ClipsweepError, NoMemoryError, PoolError, in_one_line
from clipsweep.trials.base.loading import nothing_collected
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult
from clipsweep.trials.spec.start import Start

if TYPE_CHECKING:
    from clipsweep.cluster.replica import Replica


class ReplicaActor:
    """Forwards each call to its replica; a call that returns something hands over the warnings logged so far."""

    def __init__(self, settings: ReplicaSettings, name: str) -> None:
        """Load nothing yet: a driver that knows the process can end it also while it loads."""
        self._settings, self._name = settings, name
        self._loaded: Replica | None = None
        self._warnings = WarningCollector()
        logging.getLogger(PACKAGE).addHandler(self._warnings)  # for as long as the process lives

    def pid(self) -> int:
        """Its process."""
        return os.getpid()

    def load(self) -> Answer[dict[str, str]]:
        """Load the replica; its name, node, process and device.

        Raises:
            ClipsweepError: As ``Replica`` does.
            NoMemoryError: There is too little for the model.
            PoolError: Any other error, in words: its type may be unknown in the driver's process.
        """
        with nothing_collected():
            from clipsweep.cluster.on_ray.metrics import ReplicaMetrics
            from clipsweep.cluster.replica import Replica  # here, as it loads torch and transformers
            from clipsweep.trials.base.memory import is_out_of_memory
        try:
            self._loaded = Replica(self._settings, self._name)
        except ClipsweepError:
            raise
        except Exception as error:
            short = isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and is_out_of_memory(error))
            raise (NoMemoryError if short else PoolError)(in_one_line(error)) from None
        self._metrics = ReplicaMetrics(self._name)
        self._metrics.publish(self._loaded.counters())
        return Answer(value=self._loaded.describe(), warnings=self._warnings.take())

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

    def screen(self, request: ScreenRequest) -> Answer[list[Screened]]:
        """What a backward pass predicts of clips.

        Raises:
            EvaluationError: The model or its matrices cannot be screened.
        """
        return Answer(value=[self._replica.screen(request)], warnings=self._warnings.take())

    def norms(self, request: NormsRequest) -> Answer[list[TrialNorms]]:
        """What demonstrations do under trials' weights.

        Raises:
            TaskError: The prompts cannot be tokenised.
        """
        return Answer(value=self._replica.norms(request), warnings=self._warnings.take())

    @property
    def _replica(self) -> Replica:
        """The replica: a pool sends its first call behind ``load``."""
        assert self._loaded is not None, "load() comes first"
        return self._loaded
