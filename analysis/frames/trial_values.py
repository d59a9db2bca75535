"""The values of many trials as arrays, and of points as means and sums over the trials of their demonstration seeds.

A point's trials are numbers of rows of these arrays: shape ``(n_points, n_seeds)``, ``NO_ROW`` for a trial that has no
row, and behind a point's seeds ``NO_SEED`` where another point has more. Both stand for the last row, which is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.packing import LOGLIKELIHOOD_DTYPE, TOKENS_DTYPE
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.scores import packed_of, values_of
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.spec.result import TrialState

NO_ROW, NO_SEED = -1, -2
TEXTS = ("study", "model", "task", "variant", "dtype")
COUNTS = ("n_examples", "parameters_kept", "parameters_total", "operations", "seconds")
FROM_LEAST = tuple(state.value for state in (TrialState.FAILED, TrialState.PARTIAL, TrialState.PRUNED))
COMPLETE = len(FROM_LEAST)  # how far a trial came that is complete

Numbers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Windows of text as trials scored them, and a row of zeros behind them.

    Attributes:
        loglikelihoods: Of each window, summed over its tokens: shape ``(n_trials + 1, n_windows)``, filled with zeros.
        tokens: Scored in each window, which are others on validation and on test; of the same shape, filled with zeros.
    """

    loglikelihoods: NDArray[np.float32]
    tokens: NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialValues:
    """Values of trials, an entry each, and one more for a trial that has no row.

    Attributes:
        number: Of each trial, by its identity.
        texts: Whose trial it is, by ``TEXTS``.
        score: By the metric; NaN unless it is complete.
        progress: How far it came: a place in ``FROM_LEAST``, or ``COMPLETE``. Without a row it waits, as a partial one.
        n_examples: That it has seen.
        parameters_kept: By what it clips.
        parameters_total: Of its model.
        operations: Floating-point operations predicted by the cost model.
        seconds: Wall time.
        packed: Outcomes, a bit each: shape ``(n_trials + 1, n_bytes)``, filled with zeros.
        windows: What there is in their place of trials that scored texts; else None.
    """

    number: Mapping[str, int]
    texts: Mapping[str, Sequence[str]]
    score: Floats
    progress: Numbers
    n_examples: Numbers
    parameters_kept: Numbers
    parameters_total: Numbers
    operations: Numbers
    seconds: Floats
    packed: NDArray[np.uint8]
    windows: Windows | None = None

    @classmethod
    def of(cls, rows: Mapping[str, StoredRow], metric: str) -> TrialValues:
        """Read them of rows, by trial identity."""
        names = ("state", metric, *COUNTS, *TEXTS)
        found = list(zip(*values_of(rows, names), strict=True)) or [()] * len(names)
        columns: dict[str, Sequence[Any]] = dict(zip(names, found, strict=True))
        complete = [state is TrialState.COMPLETE for state in columns["state"]]
        scores = [score if told else None for score, told in zip(columns[metric], complete, strict=True)]
        progress = [_progress(state) for state in columns["state"]]
        counts: dict[str, Any] = {
            name: np.array([*columns[name], 0], dtype=float if name == "seconds" else np.int64) for name in COUNTS
        }
        return cls(
            number={trial_id: number for number, trial_id in enumerate(rows)},
            texts={name: [*columns[name], ""] for name in TEXTS},
            score=np.array([*scores, None], dtype=float),
            progress=np.array([*progress, FROM_LEAST.index(TrialState.PARTIAL.value)]),
            packed=_as_matrix([packed or b"" for packed in packed_of(rows, "outcomes")]),
            windows=_windows_of(rows) if METRICS[metric].of_text else None,
            **counts,
        )

    def numbers(self, trial_ids: Sequence[Sequence[str]]) -> Numbers:
        """The trials of points, as this module has them."""
        numbers = np.full((len(trial_ids), max(map(len, trial_ids), default=0)), NO_SEED, dtype=np.int64)
        for point, identities in enumerate(trial_ids):
            numbers[point, : len(identities)] = [self.number.get(each, NO_ROW) for each in identities]
        return numbers

    def texts_of(self, trial_ids: Sequence[Sequence[str]]) -> dict[str, list[str]]:
        """Whose points they are, by ``TEXTS``."""
        firsts = self.numbers(trial_ids).max(axis=1, initial=NO_ROW).tolist()
        return {name: [texts[number] for number in firsts] for name, texts in self.texts.items()}

    def scores(self, trials: Numbers) -> Floats:
        """The score of each trial; NaN unless it is complete."""
        return np.asarray(self.score[np.maximum(trials, NO_ROW)])

    def seen(self, trials: Numbers) -> Numbers:
        """Examples that all trials of a point have seen; a trial without a row has seen none."""
        return self.least(self.n_examples, trials)

    def states(self, trials: Numbers) -> list[str]:
        """The state of the trial of each point that came least far."""
        words = [*FROM_LEAST, TrialState.COMPLETE.value]
        return [words[place] for place in self.least(self.progress, trials).tolist()]

    def least(self, values: Numbers, trials: Numbers) -> Numbers:
        """The smallest value among the trials of each point; 0 of a point that has none."""
        if not trials.shape[1]:
            return np.zeros(len(trials), dtype=np.int64)
        found = np.where(trials == NO_SEED, np.iinfo(np.int64).max, values[np.maximum(trials, NO_ROW)])
        return np.asarray(found.min(axis=1))

    def first_of(self, values: Numbers, trials: Numbers) -> Numbers:
        """The value of a trial of each point that has a row."""
        return np.asarray(values[trials.max(axis=1, initial=NO_ROW)])

    def sum_of(self, values: NDArray[Any], trials: Numbers) -> NDArray[Any]:
        """The sum over the trials of each point."""
        return np.asarray(values[np.maximum(trials, NO_ROW)].sum(axis=1))


def mean_over_seeds(scores: Floats, trials: Numbers) -> Floats:
    """The mean of each point's trials; NaN where one has no score, or there is none."""
    there = trials != NO_SEED
    counts = there.sum(axis=1)
    means = np.where(there, scores, 0.0).sum(axis=1) / np.maximum(counts, 1)
    return np.where(counts > 0, means, np.nan)


def spread_over_seeds(scores: Floats, trials: Numbers) -> Floats:
    """Sample standard deviation over each point's trials; NaN with fewer than two, or where one has no score."""
    there = trials != NO_SEED
    counts = there.sum(axis=1)
    away = np.where(there, scores - mean_over_seeds(scores, trials)[:, None], 0.0)
    spread = np.sqrt((away**2).sum(axis=1) / np.maximum(counts - 1, 1))
    return np.where(counts > 1, spread, np.nan)


def _progress(state: TrialState) -> int:
    return COMPLETE if state is TrialState.COMPLETE else FROM_LEAST.index(state.value)


def _as_matrix(packed: Sequence[bytes]) -> NDArray[np.uint8]:
    """Packed values one below the other, filled with zeros, and a row of zeros."""
    width = max(map(len, packed), default=0)
    joined = b"".join([*(each.ljust(width, b"\0") for each in packed), bytes(width)])
    return np.frombuffer(joined, dtype=np.uint8).reshape(len(packed) + 1, width)


def _windows_of(rows: Mapping[str, StoredRow]) -> Windows:
    """The windows of trials of one text, of which some have seen the first alone."""
    packed = ([each or b"" for each in packed_of(rows, name)] for name in ("loglikelihoods", "tokens"))
    loglikelihoods, tokens = map(_as_matrix, packed)
    return Windows(loglikelihoods=loglikelihoods.view(LOGLIKELIHOOD_DTYPE), tokens=tokens.view(TOKENS_DTYPE))
