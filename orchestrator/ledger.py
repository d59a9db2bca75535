"""Which trials are done: what the store holds, and what waits to be flushed to it."""

from __future__ import annotations

import time
from collections.abc import Iterable

from analysis.table import Row, make_row
from orchestrator.prepare import OpenStudy
from orchestrator.space import Proposal
from trials.files import write_text
from trials.model_card import trial_id
from trials.values import Trial, TrialResult, TrialState

FLUSH_ROWS = 64
FLUSH_SECONDS = 2.0


class Ledger:
    """The store's rows by trial identity, plus results not yet on disk. Nothing counts as known until it is flushed."""

    def __init__(self, opened: OpenStudy) -> None:
        """Ask the store what is done."""
        self._opened = opened
        self._context = opened.row_context()
        self._rows = opened.table.latest()
        self._waiting: list[Row] = []
        self._flushed_at = time.monotonic()

    @property
    def rows(self) -> dict[str, Row]:
        """Latest attempt at each trial that is on disk."""
        return self._rows

    @property
    def waiting(self) -> set[str]:
        """Trials whose results are not on disk yet."""
        return {row["trial_id"] for row in self._waiting}

    def trial(self, proposal: Proposal) -> Trial:
        """A proposal with its identity."""
        identity = self._opened.identity
        return Trial(trial_id=trial_id(proposal.spec, identity.card, identity.task_fingerprint), spec=proposal.spec)

    def known(self, trial: Trial) -> Row | None:
        """The row of a trial that is complete, and so need not run."""
        row = self._rows.get(trial.trial_id)
        return row if row and row["state"] == TrialState.COMPLETE.value else None

    def missing(self, proposals: Iterable[Proposal]) -> dict[str, Proposal]:
        """The proposals that must run, by trial identity; those that leave the same ranks are one."""
        trials = ((self.trial(proposal), proposal) for proposal in proposals)
        return {trial.trial_id: proposal for trial, proposal in trials if self.known(trial) is None}

    def add(self, result: TrialResult, proposal: Proposal) -> None:
        """Take a result; it is on disk after the next flush."""
        before = self._rows.get(result.trial.trial_id)
        attempt = before["attempt"] + 1 if before else 1
        row = make_row(
            result,
            self._context,
            attempt=attempt,
            params=dict(proposal.params),
            parameters_kept=self._opened.identity.card.parameters_kept(result.trial.spec.clips),
            log_path=self._write_log(result, attempt),
        )
        self._waiting.append(row)

    def due(self) -> bool:
        """Whether enough rows, or seconds, have gathered for a flush."""
        late = time.monotonic() - self._flushed_at >= FLUSH_SECONDS
        return len(self._waiting) >= FLUSH_ROWS or (late and bool(self._waiting))

    def flush(self) -> list[Row]:
        """Put what waits on disk; returns it."""
        self._flushed_at = time.monotonic()
        flushed = self._waiting
        if flushed:
            self._opened.table.append(flushed)
            self._rows |= {row["trial_id"]: row for row in flushed}
        self._waiting = []
        return flushed

    def _write_log(self, result: TrialResult, attempt: int) -> str | None:
        if result.traceback is None:
            return None
        path = self._opened.folder / "logs" / f"{result.trial.trial_id}-{attempt}.txt"
        write_text(path, result.traceback)
        return str(path.relative_to(self._opened.folder))
