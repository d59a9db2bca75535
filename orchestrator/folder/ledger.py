"""Which trials are done: what the store holds, and what waits to be flushed to it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import replace

from clipsweep.analysis.store.table import Row, make_row, unpack_margins, unpack_outcomes
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.space import Proposal
from clipsweep.trials.base.files import write_text
from clipsweep.trials.clips.identity import identify
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.scores.tally import Tally
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import Trial

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
        """A proposal with its identity, and the rows of the split that are left of those it asks for."""
        identity, spec = self._opened.identity, proposal.spec
        resolved = resolve(spec.clips, identity.card)
        key = identify(spec.prompt_set, resolved.fingerprint, identity.card, identity.task_fingerprint)
        row = self._rows.get(key)
        begun = row["n_examples"] if row and row["state"] == TrialState.PRUNED.value else 0
        if proposal.rows is None and not begun:
            return Trial(trial_id=key, spec=spec, resolved=resolved)
        left = (begun, proposal.rows or identity.split_sizes[spec.split])
        return Trial(trial_id=key, spec=spec, resolved=resolved, rows=left)

    def known(self, trial: Trial) -> Row | None:
        """The row of a trial that is complete, or has seen all rows asked for, and so need not run."""
        row = self._rows.get(trial.trial_id)
        seen = trial.rows is not None and trial.rows[0] >= trial.rows[1]
        return row if row and (seen or row["state"] == TrialState.COMPLETE.value) else None

    def missing(self, proposals: Iterable[Proposal]) -> dict[str, Proposal]:
        """The proposals that must run, by trial identity; those that leave the same ranks are one."""
        trials = ((self.trial(proposal), proposal) for proposal in proposals)
        return {trial.trial_id: proposal for trial, proposal in trials if self.known(trial) is None}

    def add(self, result: TrialResult, proposal: Proposal) -> None:
        """Take a result; it is on disk after the next flush."""
        before = self._rows.get(result.trial.trial_id)
        attempt = before["attempt"] + 1 if before else 1
        row = make_row(
            self._joined(result, before),
            self._context,
            attempt=attempt,
            params=dict(proposal.params),
            parameters_kept=result.trial.resolved.parameters_kept,
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

    def _joined(self, result: TrialResult, before: Row | None) -> TrialResult:
        """A part of a trial with the parts that are stored; ``pruned`` while rows of the split are left."""
        if result.trial.rows is None or result.tally is None:
            return result
        if result.trial.rows[0] > 0:
            assert before is not None, "a trial is continued from its stored row"
            margins = unpack_margins(before)
            result = replace(
                result,
                outcomes=(*map(bool, unpack_outcomes(before)), *result.outcomes),
                margins=() if margins is None else (*margins.tolist(), *result.margins),
                tally=Tally.of_json(json.loads(before["tally"])) + result.tally,
                operations=before["operations"] + result.operations,
                seconds=before["seconds"] + result.seconds,
                started_at=before["started_at"],
            )
        size = self._opened.identity.split_sizes[result.trial.spec.split]
        return result if len(result.outcomes) == size else replace(result, state=TrialState.PRUNED)

    def _write_log(self, result: TrialResult, attempt: int) -> str | None:
        if result.traceback is None:
            return None
        path = self._opened.folder / "logs" / f"{result.trial.trial_id}-{attempt}.txt"
        write_text(path, result.traceback)
        return str(path.relative_to(self._opened.folder))
