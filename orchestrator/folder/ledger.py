"""Which trials are done: what the store holds, and what waits to be flushed to it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from clipsweep.analysis.row.record import make_record
from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.winners.point import describe_clips, describe_shots
from clipsweep.cluster.pool import DEATHS_ALLOWED
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.stored import read_json, whole
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.space.proposal import Proposal
from clipsweep.trials.base.errors import WriteError, counted
from clipsweep.trials.base.files import write_text
from clipsweep.trials.base.kept_folders import KeptFolders
from clipsweep.trials.base.passwords import hide_passwords
from clipsweep.trials.clips.identity import Identities
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.result import TrialResult, TrialState
from clipsweep.trials.spec.trial import Trial

FLUSH_ROWS = 64
FLUSH_SECONDS = 2.0
CUT_SHORT = {TrialState.PARTIAL, TrialState.PRUNED}  # states of trials that have scores, of the first rows alone
log = logging.getLogger(__name__)


class Ledger:
    """The store's rows by trial identity, plus results not yet on disk. Nothing counts as known until it is flushed."""

    def __init__(self, opened: OpenStudy, rows: LatestRows | None = None, kept: KeptFolders | None = None) -> None:
        """Ask the store what is done.

        Args:
            opened: The study.
            rows: What is stored, where that has been read already.
            kept: The study's folders, which may go away while it runs; None where it is only read.
        """
        self._opened = opened
        self._identities: dict[str, Identities] = {}
        self._rows = opened.history().latest() if rows is None else rows
        self._kept = kept
        self._waiting: list[Record] = []
        self._flushed_at: float | None = None
        self._deaths = read_deaths(opened.folder)

    @property
    def rows(self) -> LatestRows:
        """Latest attempt at each trial that is on disk."""
        return self._rows

    @property
    def waiting(self) -> set[str]:
        """Trials whose results are not on disk yet."""
        return {record["trial_id"] for record in self._waiting}

    @property
    def deaths(self) -> Mapping[str, int]:
        """How many replicas died over which trials, those of earlier runs included."""
        return self._deaths

    def note_deaths(self, deaths: Mapping[str, int]) -> None:
        """Keep the numbers of deaths for later runs, where they changed."""
        if deaths != self._deaths:
            self._deaths = dict(deaths)
            write_text(self._opened.folder.deaths, json.dumps(self._deaths), within=self._opened.folder.path)

    def trial(self, proposal: Proposal) -> Trial:
        """A proposal with its identity, and the rows of the split that are left of those it asks for."""
        subject, spec = self._opened.subject, proposal.spec
        resolved = resolve(spec.clips, subject.card)
        key = self._identities_of(spec.task).of(spec.prompt_set, resolved.fingerprint)
        begun = self._rows[key].n_examples if self._rows.state(key) in CUT_SHORT else 0
        if proposal.rows is None and not begun:
            return Trial(trial_id=key, spec=spec, resolved=resolved)
        size = subject.of(spec.task).split_sizes[spec.split]
        wanted = proposal.rows or size
        if begun < wanted and begun not in make_rungs(size):
            begun = 0  # of an older version, which cut its microbatches at other rows: its last digits may differ
        return Trial(trial_id=key, spec=spec, resolved=resolved, rows=(begun, wanted))

    def _identities_of(self, task: str) -> Identities:
        """Identities of the trials of a task."""
        if task not in self._identities:
            subject = self._opened.subject
            self._identities[task] = Identities(subject.card, subject.of(task).task_fingerprint)
        return self._identities[task]

    def microbatch(self, trial: Trial) -> int:
        """Queries per forward pass: the study's; of a trial that is continued, as many as its stored parts had."""
        if trial.rows is not None and trial.rows[0] > 0:
            return self._rows[trial.trial_id].microbatch
        microbatch = self._opened.study.cluster.microbatch
        assert isinstance(microbatch, int), "prepare() resolves auto"
        return microbatch

    def known(self, trial: Trial) -> StoredRow | None:
        """The row of a trial that is complete, has seen all rows asked for, or is given up, and so need not run."""
        state = self._rows.state(trial.trial_id)
        if state is None:
            return None
        seen = trial.rows is not None and trial.rows[0] >= trial.rows[1]
        failed = state is TrialState.FAILED
        if seen or state is TrialState.COMPLETE or (failed and is_given_up(self._rows[trial.trial_id], self._deaths)):
            return self._rows[trial.trial_id]
        return None

    def missing(self, proposals: Iterable[Proposal]) -> dict[str, Proposal]:
        """The proposals that must run, by trial identity; those that leave the same ranks are one."""
        trials = ((self.trial(proposal), proposal) for proposal in proposals)
        return {trial.trial_id: proposal for trial, proposal in trials if self.known(trial) is None}

    def add(self, result: TrialResult) -> None:
        """Take a result; it is on disk after the next flush."""
        if result.traceback is not None:
            result = replace(result, error=hide_passwords(result.error), traceback=hide_passwords(result.traceback))
        trial_id = result.trial.trial_id
        before = self._rows.unfilled(trial_id) if trial_id in self._rows else None
        attempt = before.attempt + 1 if before is not None else 1
        record = make_record(
            self._joined(result, before),
            self._opened.row_contexts.get(result.trial.spec.task, self._opened.row_context),
            attempt=attempt,
            parameters_kept=result.trial.resolved.parameters_kept,
            log_path=self._write_log(result, attempt),
        )
        self._waiting.append(record)
        spec = result.trial.spec
        clips = describe_clips(spec.clips) or "the untouched model"
        log.info(
            "%s, %s%s, %s: %s in %.2f s",
            clips,
            f"{spec.task}, " if self._opened.subject.others else "",
            describe_shots(spec.shots),
            spec.split,
            result.state.value,
            result.seconds,
        )

    def end_race(self) -> None:
        """Note that the race has stopped the trials that wait for their next part."""
        rows = self._rows
        waiting = [rows.unfilled(each) for each in rows if rows.state(each) is TrialState.PARTIAL]
        stopped = {"state": TrialState.PRUNED.value}
        self._waiting += [row.record() | stopped | {"attempt": row.attempt + 1} for row in waiting]
        self.flush()

    def due(self) -> bool:
        """Whether enough rows, or seconds, have gathered for a flush; the first row of a run waits for no others."""
        late = self._flushed_at is None or time.monotonic() - self._flushed_at >= FLUSH_SECONDS
        return len(self._waiting) >= FLUSH_ROWS or (late and bool(self._waiting))

    def flush(self) -> list[StoredRow]:
        """Put what waits on disk; returns it."""
        if not self._waiting:
            return []
        self.check_folders()
        self._flushed_at = time.monotonic()
        flushed = self._opened.table.append(self._waiting)
        self.check_folders()  # one that was removed meanwhile may have been made anew
        self._check_files()
        self._waiting = []
        self._rows.add(flushed)
        return flushed

    def check_folders(self) -> None:
        """Stop a study whose folder, or that of its rows, went away: whatever it still computes would be lost.

        Raises:
            WriteError: Which folder, and what is lost with it.
        """
        gone = None if self._kept is None else self._kept.gone()
        if gone is not None:
            raise self._loss(f"{gone} was")

    def _check_files(self) -> None:
        """Stop a study that files were removed of, as by a removal of its folder that a new file has cut off."""
        missing = self._opened.table.missing_files() if self._kept is not None else []
        if missing:
            raise self._loss(f"{counted(len(missing), 'file')} of {self._opened.folder.trials} were")

    def _loss(self, what: str) -> WriteError:
        stored, waiting = counted(len(self._rows), "trial"), counted(len(self._waiting), "result")
        return WriteError(
            f"{what} removed or renamed while the study ran. {stored} had been stored there, {waiting} had yet to be. "
            f"If it was renamed, go on with --dir and its new name; if not, bring it back from a copy, or run the "
            f"study again: what is missing then runs anew."
        )

    def _joined(self, result: TrialResult, before: StoredRow | None) -> TrialResult:
        """A part of a trial with the parts that are stored; ``partial`` while rows of the split are left."""
        if result.trial.rows is None or result.tally is None:
            return result
        if result.trial.rows[0] > 0:
            assert before is not None, "a trial is continued from its stored row"
            result = _continued(result, before)
        spec = result.trial.spec
        size = self._opened.subject.of(spec.task).split_sizes[spec.split]
        return result if result.n_examples == size else replace(result, state=TrialState.PARTIAL)

    def _write_log(self, result: TrialResult, attempt: int) -> str | None:
        """Keep the traceback of a failed trial; gives its path in the study's folder."""
        if result.traceback is None:
            return None
        path = self._opened.folder.traceback(result.trial.trial_id, attempt)
        write_text(path, result.traceback, within=self._opened.folder.path)
        return str(path.relative_to(self._opened.folder.path))


def is_given_up(row: StoredRow, deaths: Mapping[str, int]) -> bool:
    """Whether a failed trial took so many replicas with it that it is not tried again by itself."""
    return row.state is TrialState.FAILED and deaths.get(row.trial_id, 0) >= DEATHS_ALLOWED


def read_deaths(folder: StudyFolder) -> dict[str, int]:
    """How many replicas died over which trials.

    Raises:
        StoreError: The note is damaged.
    """
    if not folder.deaths.is_file():
        return {}
    mend = "Delete it: trials that took their replicas with them are then tried again."
    with whole(folder.deaths, mend):
        return {name: int(count) for name, count in read_json(folder.deaths, mend).items()}


def forgive_deaths(folder: StudyFolder) -> None:
    """Forget the deaths over all trials, so that those given up are tried again."""
    folder.deaths.unlink(missing_ok=True)


def _measured(part: ImplicitNorms | None, before: ImplicitNorms | None) -> ImplicitNorms | None:
    """The norms of a trial in parts; a part that read the prompt once more has taken its time once more."""
    if part is None or before is None:
        return part or before
    return part.after(before.seconds)


def _continued(result: TrialResult, before: StoredRow) -> TrialResult:
    """A part of a trial after the parts that its stored row holds."""
    margins, tally, texts = before.margins, before.tally, before.loglikelihoods
    assert tally is not None, "partial rows keep their tally"
    assert result.tally is not None, "a failed part is not joined"
    return replace(
        result,
        outcomes=() if texts is not None else (*before.outcomes.tolist(), *result.outcomes),
        margins=() if margins is None else (*margins.tolist(), *result.margins),
        loglikelihoods=() if texts is None else (*texts.tolist(), *result.loglikelihoods),
        tokens=() if before.tokens is None else (*before.tokens.tolist(), *result.tokens),
        tally=tally + result.tally,
        implicit=_measured(result.implicit, before.implicit),
        operations=before.operations + result.operations,
        seconds=before.seconds + result.seconds,
        started_at=before.started_at,
    )
