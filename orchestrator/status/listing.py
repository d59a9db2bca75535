"""The studies below a folder, a line for each: whole, half-made and damaged ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.stored import is_there
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.status.status import read_status
from clipsweep.trials.base.errors import ClipsweepError, PlaceError
from clipsweep.trials.base.os_words import word_os_error, worded_as

DAMAGED, NOT_RUN = "damaged", "not run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One study.

    Attributes:
        dir: Its folder.
        name: As its file says; None where that cannot be read.
        state: As ``clipsweep status`` says, or ``damaged``, or ``not run`` where nothing but a study file is there.
        done: Complete trials.
        pruned: Those that a race stopped.
        total: All that it needs, as far as is known.
        score: Of its winner on validation, the mean over demonstration seeds; None while there is none.
        metric: What that is.
        last_run: When its last trial finished; None while none has.
        problem: What is wrong with a damaged one.
    """

    dir: str
    name: str | None = None
    state: str
    done: int | None = None
    pruned: int | None = None
    total: int | None = None
    score: float | None = None
    metric: str | None = None
    last_run: datetime | None = None
    problem: str | None = None

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"last_run": None if self.last_run is None else self.last_run.isoformat()}


def list_studies(root: Path) -> list[Listed]:
    """The studies in and below a folder, by path. Nothing is loaded but what is stored of them.

    Raises:
        PlaceError: There is no such folder, or it may not be read.
    """
    with worded_as(PlaceError, f"looking for studies in {root}"):
        if root.is_dir():
            os.listdir(root)  # os.walk passes over what it may not read
        else:
            raise PlaceError(
                f"{root} is no folder; expected one that holds studies, as 'clipsweep run' makes them below 'studies'. "
                f"Run a study, or give the folder: clipsweep list FOLDER."
            )
    return [_look(folder) for folder in sorted(_find(root), key=lambda folder: folder.path)]


def _find(root: Path) -> Iterator[StudyFolder]:
    """Folders that hold a study's files; nothing below them, and nothing hidden, is looked at."""
    for place, below, names in os.walk(root):
        folder = StudyFolder(Path(place))
        rows_alone = folder.trials.name in below and folder.holds_rows()
        if folder.subject.name in below or _is_study(folder, names) or rows_alone:  # a folder of that name is damage
            below.clear()
            yield folder
        below[:] = [name for name in below if not name.startswith(".")]


def _is_study(folder: StudyFolder, names: Sequence[str]) -> bool:
    """Whether a run made the folder, or would take it up; one where a user keeps a study file among others is none."""
    begun = folder.lock.name in names or len(names) == 1
    return folder.subject.name in names or (folder.study.name in names and begun)


def _look(folder: StudyFolder) -> Listed:
    """One study; what is wrong with it is told in its place, so that the others are seen."""
    try:
        if not is_there(folder.subject) and not folder.holds_rows():
            return Listed(dir=str(folder), state=NOT_RUN)
        return _describe(folder)
    except ClipsweepError as error:
        return Listed(dir=str(folder), state=DAMAGED, problem=str(error))
    except OSError as error:
        return Listed(dir=str(folder), state=DAMAGED, problem=word_os_error(error))


def _describe(folder: StudyFolder) -> Listed:
    snapshot = Snapshot.take(reopen(folder.path))
    status, winner = read_status(snapshot), snapshot.standings.winner
    return Listed(
        dir=str(folder),
        name=snapshot.opened.study.name,
        state=status["state"],
        done=status["done"],
        pruned=status["pruned"],
        total=status["total"],
        score=None if winner is None else winner.score,
        metric=None if winner is None else winner.point.metric,
        last_run=snapshot.history[-1].finished_at if len(snapshot.history) else None,
    )


def describe_list(listed: Sequence[Listed]) -> list[str]:
    """What is wrong with damaged ones, a line for each."""
    return [f"{each.dir}: {each.problem}" for each in listed if each.problem is not None]
