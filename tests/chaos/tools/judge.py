"""What a study lost, repeated or changed over its faults, compared with runs that nothing happened to."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.spec.result import TrialState

OF_THE_RUN = {  # what a trial cost, and where it ran; a race that sees a trial in parts pays more for it
    *("study", "attempt", "seconds", "operations", "replica", "node", "device"),
    *("started_at", "finished_at", "versions"),
}
SENTENCE = re.compile(r"^error: .+", re.MULTILINE)
NOT_OURS = ("Traceback", "Exception ignored", "Fatal Python error")

Rows = Mapping[tuple[str, int], Record]  # by trial and attempt
Words = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What went wrong, each in words; nothing where all is well.

    Attributes:
        lost: Rows that were on disk, or trials of the study, and are not there at the end.
        repeated: Trials that are complete twice, or ran again though they were complete.
        different: Rows that are not what the same trial gives without a fault.
        tracebacks: Of the run with the fault, and of those that resumed it.
        ended_wrong: Exit codes, errors that are not one sentence, and what was left behind.
    """

    lost: Words = ()
    repeated: Words = ()
    different: Words = ()
    tracebacks: Words = ()
    ended_wrong: Words = ()

    def __add__(self, other: Verdict) -> Verdict:
        """Both, over one study."""
        return Verdict(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)})

    @property
    def words(self) -> str:
        """All of it in one line; empty where all is well."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return "; ".join(f"{name}: {', '.join(words)}" for name, words in found.items() if words)


def read_rows(folder: Path) -> Rows:
    """Every stored attempt; none where no study is.

    Raises:
        StoreError: A file cannot be read.
    """
    return {(row.trial_id, row.attempt): row.record() for row in ResultsTable(StudyFolder(folder).trials).read()}


def clean_rows(folder: Path) -> dict[str, Record]:
    """What each complete trial of a study gives, by identity."""
    return {row["trial_id"]: row for row in read_rows(folder).values() if row["state"] == TrialState.COMPLETE.value}


def judge_rows(before: Rows, folder: Path, clean: Mapping[str, Record], *, whole: bool) -> Verdict:
    """Compare the rows of a study that was resumed to its end.

    Args:
        before: What was on disk when the fault had ended the run.
        folder: Of the study.
        clean: What each trial gives.
        whole: Whether every trial of ``clean`` must be there; a search or a race completes some of them.
    """
    try:
        after = read_rows(folder)
    except StoreError as error:
        return Verdict(lost=(f"the rows cannot be read: {error}",))
    lost = [f"{trial} attempt {attempt} was on disk and is gone" for trial, attempt in before.keys() - after.keys()]
    lost += [f"{key[0]} was changed" for key in before.keys() & after.keys() if before[key] != after[key]]
    complete = Counter(trial for (trial, _), row in after.items() if row["state"] == TrialState.COMPLETE.value)
    if whole:
        lost += [f"{trial} never became complete" for trial in clean.keys() - complete.keys()]
    done = {trial for (trial, _), row in before.items() if row["state"] == TrialState.COMPLETE.value}
    repeated = [f"{trial} was complete and ran again" for trial, _ in after.keys() - before.keys() if trial in done]
    repeated += [f"{trial} is complete {count} times" for trial, count in complete.items() if count > 1]
    repeated += _counted_twice(folder)
    different = tuple(words for row in after.values() if (words := difference(row, clean)))
    return Verdict(lost=tuple(lost), repeated=tuple(repeated), different=different)


def _counted_twice(folder: Path) -> list[str]:
    """Attempts that are stored in two rows; reading by trial and attempt would overlook them."""
    keys = Counter((row.trial_id, row.attempt) for row in ResultsTable(StudyFolder(folder).trials).read())
    return [f"{trial} attempt {attempt} is stored twice" for (trial, attempt), count in keys.items() if count > 1]


def difference(row: Record, clean: Mapping[str, Record]) -> str:
    """How a stored row differs from its trial's clean one, bit by bit; empty where it does not.

    Of a trial that a race has stopped, what it saw must be the beginning of what the whole trial gives.
    """
    wanted = clean.get(row["trial_id"])
    if wanted is None:
        return f"{row['trial_id']} is no trial of the study"
    if row["state"] == TrialState.FAILED.value:
        return f"{row['trial_id']} failed: {row['error']}"
    if row["state"] == TrialState.COMPLETE.value:
        names = [name for name in wanted if name not in OF_THE_RUN and row[name] != wanted[name]]
    else:
        part, all_of_it = StoredRow.of(row), StoredRow.of(wanted)
        names = [] if np.array_equal(part.outcomes, all_of_it.outcomes[: part.n_examples]) else ["outcomes"]
        if part.margins is not None and all_of_it.margins is not None:
            names += [] if np.array_equal(part.margins, all_of_it.margins[: part.n_examples]) else ["margins"]
    return f"{row['trial_id']} differs in {', '.join(names)}" if names else ""


def judge_end(code: int, errors: str, allowed: Collection[int]) -> Verdict:
    """Compare how a run ended with how it should: no traceback, a right exit code, one sentence for an error.

    Args:
        code: Its exit code; negative for a signal.
        errors: Its standard error.
        allowed: Exit codes that are right.
    """
    tracebacks = tuple(
        f"{errors[errors.index(word) :].strip().splitlines()[-1]}" for word in NOT_OURS if word in errors
    )
    wrong = [] if code in allowed else [f"exit code {code}, where {sorted(allowed)} are right"]
    told = len(SENTENCE.findall(errors))
    if code in {1, 2} and told != 1:
        wrong.append(f"exit code {code} with {told} sentences")
    return Verdict(tracebacks=tracebacks, ended_wrong=tuple(wrong))
