"""A pool that computes nothing: what a trial gives is a function of its identity, and it ends when a test says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.packing import pack_margins, pack_outcomes
from clipsweep.analysis.row.row import Record
from clipsweep.cluster.pool import Pool
from clipsweep.cluster.work import Batch, NormsRequest
from clipsweep.trials.base.versions import RECORDED
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place
from clipsweep.trials.scores.judge import measure_margins, score_labels
from clipsweep.trials.screen.screened import Screened, ScreenRequest
from clipsweep.trials.spec.implicit import TrialNorms
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.start import Start
from clipsweep.trials.spec.trial import Trial

N_ROWS, AT_ONCE = 100, 6


@cache
def scores_of(trial_id: str) -> NDArray[np.float32]:
    """Scores of two labels, the first of which is right, for every row of the split; some trials do better."""
    draw = np.random.default_rng(int(trial_id, 16) % 2**32)
    lead = np.array([draw.uniform(-0.5, 1), 0])
    return np.asarray(draw.normal(size=(N_ROWS, 2)) + lead, dtype=np.float32)


def expected_scores(trial_id: str, n_rows: int) -> Record:
    """What the row of a trial holds that has seen so many rows, however it came to see them."""
    scores, gold = scores_of(trial_id)[:n_rows], [0] * n_rows
    outcomes, tally = score_labels(scores, gold)
    return {
        "outcomes": pack_outcomes(outcomes),
        "margins": pack_margins(measure_margins(scores, gold)),
        "accuracy": tally.scores.accuracy,
        "gold_logprob": tally.scores.gold_logprob,
        "calibration_error": tally.scores.calibration_error,
        "macro_f1": tally.scores.macro_f1,
    }


class StandInPool(Pool):
    """Trials run until they are told to end, in any order.

    Attributes:
        running: Trials that were submitted and have not ended, with their microbatch.
    """

    def __init__(self, submitted: Callable[[Trial], None]) -> None:
        self.running: list[tuple[Trial, int]] = []
        self._ended: list[TrialResult] = []
        self._submitted = submitted

    def end(self, number: int, *, fails: bool) -> None:
        """Let one of the running trials end."""
        trial, microbatch = self.running.pop(number)
        now = datetime.now(UTC)
        result = partial(
            TrialResult,
            trial=trial,
            microbatch=microbatch,
            seconds=0.01,
            replica="r",
            node="n",
            device="cpu",
            started_at=now,
            finished_at=now,
            versions=dict.fromkeys(("clipsweep", *RECORDED)),
        )
        if fails:
            self._ended.append(result(state=TrialState.FAILED, error="it fails", traceback="it fails"))
            return
        scores = scores_of(trial.trial_id)[slice(*trial.rows or (0, N_ROWS))]
        gold = [0] * len(scores)
        outcomes, tally = score_labels(scores, gold)
        margins = measure_margins(scores, gold)
        self._ended.append(result(state=TrialState.COMPLETE, outcomes=outcomes, margins=margins, tally=tally))

    def free_calls(self) -> int:
        return max(0, AT_ONCE - len(self.running))

    def submit(self, batch: Batch) -> None:
        for trial in batch.trials:
            self._submitted(trial)
            self.running.append((trial, batch.microbatch))

    def collect(self, timeout_s: float) -> list[TrialResult]:
        ended, self._ended = self._ended, []
        return ended

    def spectrum(self, places: Sequence[Place]) -> Iterator[list[MatrixSpectrum]]:
        return iter(())

    def screen(self, requests: Sequence[ScreenRequest]) -> Iterator[list[Screened]]:
        return iter(())

    def norms(self, requests: Sequence[NormsRequest]) -> Iterator[list[TrialNorms]]:
        return iter(())

    def announce(self, starts: Sequence[Start]) -> None:
        pass

    def deaths(self) -> dict[str, int]:
        return {}

    def replicas(self) -> list[dict[str, str]]:
        return [{"name": "r", "node": "n", "pid": "0", "device": "cpu"}]

    def close(self) -> None:
        self.running.clear()
