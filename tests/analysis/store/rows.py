"""Stored rows for tests: of a result that is made up, or of another row with some values changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from clipsweep.analysis.row.packing import pack_margins, pack_outcomes
from clipsweep.analysis.row.record import RowContext, make_record
from clipsweep.analysis.row.row import SCHEMA, Record, StoredRow
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.scores.tally import LabelTally, Tally
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import Trial
from tests.trials.models.test_card import CARD
from tests.trials.spec.test_clip import make_clip
from tests.trials.spec.test_trial import make_spec

CONTEXT = RowContext(
    study="s",
    model_fingerprint=CARD.fingerprint,
    dtype=CARD.dtype,
    variant="paper",
    task_fingerprint="t",
    parameters_total=10,
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FAILED: dict[str, Any] = {
    "state": TrialState.FAILED,
    "tally": None,
    "outcomes": (),
    "margins": (),
    "error": "boom",
}


def make_result(trial_id: str = "a", outcomes: tuple[bool, ...] = (True, False), **changes: Any) -> TrialResult:
    """A complete result with these outcomes, and with other fields changed."""
    spec = make_spec(clips=(make_clip(),))
    fields: dict[str, Any] = {
        "trial": Trial(trial_id=trial_id, spec=spec, resolved=resolve(spec.clips, CARD)),
        "state": TrialState.COMPLETE,
        "outcomes": outcomes,
        "tally": Tally(
            examples=len(outcomes),
            right=sum(outcomes),
            gold_logprob=-0.7 * len(outcomes),
            labels=(LabelTally(hits=1, predicted=3, gold=1),),
            gaps=(0.1 * len(outcomes),),
        ),
        "margins": tuple(1.5 if right else -0.25 for right in outcomes),
        "operations": 7,
        "engine_path": "e",
        "microbatch": 4,
        "seconds": 0.5,
        "replica": "r",
        "node": "n",
        "device": "cpu",
        "started_at": NOON,
        "finished_at": NOON,
        "versions": {"clipsweep": "0", "torch": "0", "transformers": "0", "ray": None},
    }
    return TrialResult(**(fields | changes))


def stored_record(trial_id: str = "a", attempt: int = 1, **changes: Any) -> Record:
    """What is stored of ``make_result``, as a table takes it."""
    result = make_result(trial_id, **changes)
    return make_record(result, CONTEXT, attempt=attempt, parameters_kept=5, log_path=None)


def stored_row(trial_id: str = "a", attempt: int = 1, **changes: Any) -> StoredRow:
    """The row of ``make_result``."""
    return StoredRow.of(stored_record(trial_id, attempt, **changes))


def failed_record(**changes: Any) -> Record:
    """What is stored of a trial that failed."""
    return stored_record(**(FAILED | changes))


def failed_row(**changes: Any) -> StoredRow:
    """The row of a trial that failed."""
    return StoredRow.of(failed_record(**changes))


def changed(row: StoredRow, **values: Any) -> StoredRow:
    """The row with other plain values in some of its columns."""
    unknown = values.keys() - set(SCHEMA.names)
    assert not unknown, f"no such columns: {unknown}"
    return StoredRow.of(row.record() | values)


def columns_of(outcomes: Sequence[bool], margins: Sequence[float] | None = None) -> Record:
    """The columns that tell of the examples which a trial has seen."""
    return {
        "n_examples": len(outcomes),
        "outcomes": pack_outcomes(outcomes),
        "margins": None if margins is None else pack_margins(margins),
        "accuracy": float(np.mean(outcomes)),
    }


def text_record(loglikelihoods: Sequence[float], tokens: Sequence[int], trial_id: str = "a", **changes: Any) -> Record:
    """What is stored of a trial that scored windows of text."""
    result: dict[str, Any] = {
        "outcomes": (),
        "margins": (),
        "loglikelihoods": tuple(loglikelihoods),
        "tokens": tuple(tokens),
        "tally": Tally(examples=len(tokens), loglikelihood=sum(loglikelihoods), tokens=sum(tokens)),
    }
    return stored_record(trial_id, **(result | changes))


def text_row(loglikelihoods: Sequence[float], tokens: Sequence[int], trial_id: str = "a", **changes: Any) -> StoredRow:
    """The row of ``text_record``."""
    return StoredRow.of(text_record(loglikelihoods, tokens, trial_id, **changes))
