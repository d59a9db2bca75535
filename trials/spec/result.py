"""What one attempt at a trial gave."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from clipsweep.trials.scores.tally import Scores, Tally
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.trial import Trial

FULL_PROMPTS = "full-prompts"  # the engine's way in which prompts are read whole


class TrialState(Enum):
    """How an attempt ended. Members are added, never removed or renamed: old files hold them.

    ``PARTIAL`` has seen the first rows of its split and waits for the race to decide; ``PRUNED`` was stopped by it.
    Files of schema version 4 and older say ``PRUNED`` for both.
    """

    COMPLETE = "complete"
    PARTIAL = "partial"
    PRUNED = "pruned"
    FAILED = "failed"

    @property
    def has_scores(self) -> bool:
        """Whether the trial was evaluated, on all rows or on some."""
        return self is not TrialState.FAILED


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialResult:
    """What one attempt at a trial gave.

    Attributes:
        trial: The trial, with its identity. Its rows are those that were evaluated: from the first on where a part had
            to be run with fewer queries per forward pass than those before it.
        state: How the attempt ended.
        outcomes: Right or wrong for each example that was evaluated, in the split's seeded order; empty when failed.
        margins: How much higher the gold label of each of those scored than the best other, in the task's unit of
            scores, mostly natural log: above 0 where the answer is right, but for ties.
        loglikelihoods: Of text, of each window that was evaluated, summed over its scored tokens; natural log. Empty
            where answers are scored, as ``outcomes`` and ``margins`` are empty of text.
        tokens: How many tokens were scored in each of those windows.
        predicted: Index of the label that each of those was given, of the rows of this part; no row stores it.
        tally: What the scores are counted from; None when failed.
        implicit: What its demonstrations do by the paper's theory; None where that is not measured. Every part of
            a trial has the norms; the seconds are those of this part, 0 where it did not read the prompt.
        demonstrations: How many were in the prompt, which may be fewer than ``shots``; None when failed.
        operations: Floating-point operations predicted by the cost model; 0 when failed.
        engine_path: Which of the engine's ways ran.
        microbatch: Queries per forward pass; smaller than asked for after running out of memory.
        seconds: Wall time of the evaluation.
        replica: Name of the replica.
        node: Host name.
        device: Torch device, e.g. ``"cpu"`` or ``"cuda:0"``.
        error: Last line of the traceback; None unless failed.
        traceback: All of it, for the trial's log file; None unless failed.
        started_at: UTC.
        finished_at: UTC.
        versions: Version of clipsweep, torch, transformers and ray (None in-process).
    """

    trial: Trial
    state: TrialState
    outcomes: tuple[bool, ...] = ()
    margins: tuple[float, ...] = ()
    loglikelihoods: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()
    predicted: tuple[int, ...] = ()
    tally: Tally | None = None
    implicit: ImplicitNorms | None = None
    demonstrations: int | None = None
    operations: int = 0
    engine_path: str | None = None
    microbatch: int
    seconds: float
    replica: str
    node: str
    device: str
    error: str | None = None
    traceback: str | None = None
    started_at: datetime
    finished_at: datetime
    versions: dict[str, str | None]

    @property
    def n_examples(self) -> int:
        """How many examples were evaluated; 0 when failed."""
        return len(self.outcomes) or len(self.loglikelihoods)

    @property
    def scores(self) -> Scores | None:
        """Over the examples that were evaluated; None when failed."""
        return self.tally.scores if self.tally else None
