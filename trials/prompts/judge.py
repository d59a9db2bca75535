"""What a trial made of its prompts: the scores of the engine judged as the scoring says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.scores.judge import exact_sum, measure_margins, predict, score_labels
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.scores.tally import Tally


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a trial made of the examples that were evaluated; the fields are those of ``TrialResult``."""

    tally: Tally
    outcomes: tuple[bool, ...] = ()
    margins: tuple[float, ...] = ()
    predicted: tuple[int, ...] = ()
    loglikelihoods: tuple[float, ...] = ()
    tokens: tuple[int, ...] = ()


def judge(
    prompts: Prompts, scores: NDArray[np.float32], leads: NDArray[np.float32] | None = None, *, strict: bool = False
) -> Judgement:
    """Judge what the engine gave for the examples that are evaluated, as the prompts' scoring says.

    Args:
        prompts: What was scored.
        scores: Of every label of every query, shape ``(queries, labels)``: as ``LabelScores`` has them.
        leads: How far every token of a label is ahead at least, of the same shape; None where that is not read.
        strict: As for ``score_labels``.
    """
    numbers = prompts.evaluated
    queries = prompts.queries[numbers.start : numbers.stop]
    scores = scores[numbers.start : numbers.stop]
    if prompts.scoring is Scoring.TEXT:
        return _judge_text(scores[:, 0], [len(query.labels[0]) for query in queries])
    if prompts.scoring is Scoring.GREEDY:
        assert leads is not None, "greedy answers are told by their leads"
        return _judge_greedy(scores[:, 0], leads[numbers.start : numbers.stop, 0])
    gold = [query.gold for query in queries]
    outcomes, tally = score_labels(scores, gold, strict=strict)
    return Judgement(
        tally=replace(
            tally,
            labels=tally.labels if prompts.classes else (),
            gaps=tally.gaps if prompts.scoring.tells_probabilities else (),
        ),
        outcomes=outcomes,
        margins=measure_margins(scores, gold),
        predicted=tuple(predict(scores, gold, strict=strict).tolist()),
    )


def _judge_text(loglikelihoods: NDArray[np.float32], tokens: Sequence[int]) -> Judgement:
    values = loglikelihoods.astype(np.float64)
    tally = Tally(examples=len(values), loglikelihood=exact_sum(values), tokens=sum(tokens))
    return Judgement(tally=tally, loglikelihoods=tuple(values.tolist()), tokens=tuple(tokens))


def _judge_greedy(loglikelihoods: NDArray[np.float32], leads: NDArray[np.float32]) -> Judgement:
    """One answer for each example, right where all its tokens are ahead of every other; what was said instead is -1."""
    right = leads > 0
    tally = Tally(
        examples=len(leads), right=int(right.sum()), gold_logprob=exact_sum(loglikelihoods.astype(np.float64))
    )
    return Judgement(
        tally=tally,
        outcomes=tuple(bool(outcome) for outcome in right),
        margins=tuple(map(float, leads)),
        predicted=tuple(0 if outcome else -1 for outcome in right),
    )
