"""Is every file of a study whole, every row right, and no trial complete twice?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.row.arrays import numbers_in
from clipsweep.analysis.row.check_rows import Mask, none_of
from clipsweep.analysis.row.row import SCHEMA
from clipsweep.analysis.store.part import OpenPart
from clipsweep.orchestrator.folder.end import read_end
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.upkeep.row_checks import RowChecks
from clipsweep.trials.base.errors import DamagedFileError, StoreError, counted
from clipsweep.trials.spec.result import TrialState

DRAFT = ".draft-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        file: Its path in the study's folder.
        what: In words.
        n_rows: Rows that it concerns; None where the file cannot be read.
        example: One of their trials.
        damaged: Whether the file should be moved aside whole.
    """

    file: str
    what: str
    n_rows: int | None = None
    example: str | None = None
    damaged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRows:
    """What is remembered of the rows of one file.

    Attributes:
        name: Of the file.
        trial_ids: Of its rows.
        marks: Attempt and time of each, which tell it from other attempts: shape ``(n_rows, 2)``.
        complete: Which rows are complete.
        wrong: Which rows have a fault.
        replaces: Files whose rows it holds.
    """

    name: str
    trial_ids: Sequence[str]
    marks: NDArray[np.int64]
    complete: Mask
    wrong: Mask
    replaces: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was found.

    Attributes:
        n_files: Files of rows that are there.
        n_rows: Rows in those that count.
        n_trials: Distinct trials of these.
        faults: What is wrong.
        notes: What is not wrong, but might surprise.
        copies: Files all of whose rows stand in others too.
        rows: What is remembered of the rows, by file.
    """

    n_files: int
    n_rows: int
    n_trials: int
    faults: Sequence[Fault]
    notes: Sequence[str]
    copies: Sequence[str]
    rows: Sequence[FileRows]

    def document(self) -> dict[str, Any]:
        """As ``clipsweep verify --json`` prints it."""
        return {
            "files": self.n_files,
            "rows": self.n_rows,
            "trials": self.n_trials,
            "faults": [asdict(fault) for fault in self.faults],
            "notes": list(self.notes),
        }


def verify_study(opened: OpenStudy) -> Verified:
    """Read every file of a study's rows, and check every row.

    Nothing is changed, and files that a run merges meanwhile are read in their merged form.

    Raises:
        StoreError: The folder of the rows cannot be read.
    """
    checks = RowChecks(opened)
    faults: list[Fault] = [*_other_files(opened)]
    rows: list[FileRows] = []
    seen: set[str] = set()
    while names := [name for name in opened.table.files() if name not in seen]:
        seen |= {*names}
        for name in names:
            rows += _look_at(opened.folder.trials, name, checks, faults.append)
    replaced = {name for each in rows for name in each.replaces}
    counting = [each for each in rows if each.name not in replaced]
    twice, copies = _complete_twice(counting)
    return Verified(
        n_files=len(opened.table.files()),
        n_rows=sum(len(each.trial_ids) for each in counting),
        n_trials=len({trial_id for each in counting for trial_id in each.trial_ids}),
        faults=[*faults, *twice],
        notes=_notes(opened, [each.name for each in rows if each.name in replaced]),
        copies=copies,
        rows=counting,
    )


def _other_files(opened: OpenStudy) -> Iterator[Fault]:
    """What a run left beside its rows and cannot be read. Study file and identity were read when it was opened."""
    for path, read, damaged in (
        (opened.folder.end, lambda: read_end(opened.folder), False),  # the next run writes it anew
        (opened.folder.spectrum, opened.spectrum.conditions, True),
        (opened.folder.screen, opened.screen.screens, True),
        (opened.folder.norms, opened.norms.read, True),
    ):
        try:
            read()
        except StoreError as error:
            yield Fault(file=path.name, what=str(error), damaged=damaged)


def _look_at(folder: Path, name: str, checks: RowChecks, tell: Callable[[Fault], None]) -> Iterator[FileRows]:
    """The rows of one file; nothing where it cannot be read, or has been merged meanwhile."""
    path = folder / name
    shown = f"{folder.name}/{name}"
    try:
        yield _read_rows(path, shown, checks, tell)
    except DamagedFileError as error:
        tell(Fault(file=shown, what=str(error), damaged=True))
    except StoreError as error:
        if path.exists():
            tell(Fault(file=shown, what=str(error)))


def _read_rows(path: Path, shown: str, checks: RowChecks, tell: Callable[[Fault], None]) -> FileRows:
    """Read and check a file, some thousands of rows at a time."""
    part = OpenPart(path, ())
    trial_ids: list[str] = []
    marks, complete, wrong = [np.zeros((0, 2), np.int64)], [np.zeros(0, bool)], [np.zeros(0, bool)]
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for group in range(len(part.group_sizes)):
        table = part.read(SCHEMA.names, group)
        ids = [str(each) for each in table["trial_id"].to_pylist()]
        bad = np.zeros(len(ids), bool)
        for problem in checks.problems(table):
            counts[problem.what] += int(problem.rows.sum())
            examples.setdefault(problem.what, ids[int(problem.rows.argmax())])
            bad |= problem.rows
        trial_ids += ids
        marks.append(
            np.stack([numbers_in(table[name]).astype(np.int64) for name in ("attempt", "finished_at")], axis=1)
        )
        complete.append(~none_of(table["state"], {TrialState.COMPLETE.value}) & ~bad)
        wrong.append(bad)
    for what, count in counts.items():
        tell(Fault(file=shown, what=f"{counted(count, 'row')} with {what}", n_rows=count, example=examples[what]))
    return FileRows(
        name=path.name,
        trial_ids=trial_ids,
        marks=np.concatenate(marks),
        complete=np.concatenate(complete),
        wrong=np.concatenate(wrong),
        replaces=part.replaces,
    )


def _complete_twice(files: Sequence[FileRows]) -> tuple[list[Fault], list[str]]:
    """Trials that are complete in two rows, and files all of whose rows stand in others."""
    first: dict[str, tuple[int, int]] = {}  # by trial the file and row where it is complete first
    faults, copies = [], []
    for place, file in enumerate(files):
        same: list[tuple[str, str]] = []
        other: list[tuple[str, str]] = []
        for number in np.flatnonzero(file.complete).tolist():
            trial_id = file.trial_ids[number]
            before = first.setdefault(trial_id, (place, number))
            if before != (place, number):
                equal = bool((files[before[0]].marks[before[1]] == file.marks[number]).all())
                (same if equal else other).append((trial_id, files[before[0]].name))
        for found, what in ((same, "also in"), (other, "of trials that are complete in another row too, in")):
            if found:
                trial_id, name = found[0]
                words = f"{counted(len(found), 'row')} {what} {name}; each trial counts once"
                faults.append(Fault(file=f"trials/{file.name}", what=words, n_rows=len(found), example=trial_id))
        if same and len(same) == len(file.trial_ids):
            copies.append(file.name)
    return faults, copies


def _notes(opened: OpenStudy, leftovers: Sequence[str]) -> list[str]:
    """What is not wrong, but might surprise."""
    folder, notes = opened.folder.trials, []
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    drafts = sorted(name for name in names if name.startswith(DRAFT))
    late = opened.table.set_aside()
    foreign = sorted(name for name in names - {*opened.table.files(), *late} if not name.startswith("."))
    if drafts:
        notes.append(f"{counted(len(drafts), 'draft')} of a run that was killed, such as {drafts[0]}: never read")
    if foreign:
        notes.append(f"{counted(len(foreign), 'file')} of other names in {folder}, such as {foreign[0]}: never read")
    if late:
        words = f"{counted(len(late), 'file')} of a run that was stopped while another took over, such as {late[0]}"
        notes.append(f"{words}: these rows do not count")
    if leftovers:
        left = f"{counted(len(leftovers), 'file')} left by a merge that was cut off, such as {leftovers[0]}"
        notes.append(f"{left}: these rows stand in another file, and the next merge removes them")
    return notes


def describe_verified(verified: Verified) -> str:
    """What was found, in words."""
    lines = [
        f"{counted(verified.n_rows, 'row')} of {counted(verified.n_trials, 'trial')} in "
        f"{counted(verified.n_files, 'file')}: {counted(len(verified.faults), 'fault')}"
    ]
    for fault in verified.faults:
        example = "" if fault.example is None else f" (trial {fault.example})"
        lines.append(f"  {fault.file}: {fault.what}{example}")
    return "\n".join([*lines, *(f"  note: {note}" for note in verified.notes)])
