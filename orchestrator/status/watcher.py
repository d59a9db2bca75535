"""Look at a study again and again, cheaply: what its run says each time, its rows only as often as they cost little."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.analysis.winners.point import describe_point
from clipsweep.analysis.winners.standings import Standings
from clipsweep.orchestrator.folder.log_file import last_warnings
from clipsweep.orchestrator.folder.no_study import no_study
from clipsweep.orchestrator.folder.open_study import OpenStudy, reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.status.liveness import Liveness, look_at_run
from clipsweep.orchestrator.status.status import begun, read_stored, with_run
from clipsweep.trials.base.errors import StoreError, StudyError
from clipsweep.trials.scores.metrics import METRICS
from clipsweep.trials.scores.shown import score_words, unit_of

SHARE = 0.02  # of a core that reading rows may take
NO_BEST = "no baseline and no other point is complete yet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A study at one look.

    Attributes:
        name: Of the study; its folder's while nothing is stored.
        document: Its status.
        best: The best point so far, in words.
        rows_age_s: How long ago the rows were read, where that is not now.
    """

    name: str
    document: dict[str, Any]
    best: str
    rows_age_s: float

    @property
    def is_over(self) -> bool:
        """Whether no process runs it any more."""
        return not self.document["alive"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What was read of the rows, and when."""

    snapshot: Snapshot
    stored: dict[str, Any]
    best: str
    at: float


class Watcher:
    """Looks at one study. Files that were read are not read again; rows are, when there are new ones and it is time."""

    def __init__(self, path: Path) -> None:
        """Look at nothing yet.

        Args:
            path: The study's folder.
        """
        self._folder = StudyFolder(path)
        self._opened: OpenStudy | None = None
        self._read: _Read | None = None
        self._next_read = 0.0

    def look(self) -> Seen:
        """The study now.

        Raises:
            StudyError: No study there, and none begins.
            StoreError: A file of it is damaged, or it is gone.
        """
        run = look_at_run(self._folder)
        if not self._folder.subject.is_file() and not self._folder.holds_rows():
            return self._look_at_start(run)
        if not run.alive or time.monotonic() >= self._next_read:
            self._read_rows()
        assert self._read is not None, "rows are read at the first look"
        fresh = {"warnings": last_warnings(self._folder)}
        return Seen(
            name=self._read.snapshot.opened.study.name,
            document=with_run(self._read.stored, run) | fresh,
            best=self._read.best,
            rows_age_s=time.monotonic() - self._read.at,
        )

    def _look_at_start(self, run: Liveness) -> Seen:
        """A study that has not stored anything, as its replicas are not there yet."""
        if self._read is not None:
            raise StoreError(f"{self._folder} is gone: it was removed, or moved, while it was watched.")
        if not run.alive:
            raise StudyError(no_study(self._folder))
        document = with_run(begun(run), run) | {"warnings": last_warnings(self._folder)}
        return Seen(name=self._folder.path.name, document=document, best=NO_BEST, rows_age_s=0.0)

    def _read_rows(self) -> None:
        """Read what was added; the next time not before this has become a small share of the time."""
        began = time.process_time()
        self._opened = reopen(self._folder.path) if self._opened is None else self._opened.choose_layers()
        history = self._opened.table.read()
        before = self._read
        if before is None or before.snapshot.history is not history or before.snapshot.opened is not self._opened:
            snapshot = Snapshot(opened=self._opened, history=history)
        else:
            snapshot = before.snapshot
        stored = read_stored(snapshot)
        self._read = _Read(
            snapshot=snapshot, stored=stored, best=describe_best(snapshot.standings), at=time.monotonic()
        )
        self._next_read = self._read.at + (time.process_time() - began) / SHARE


def describe_best(standings: Standings) -> str:
    """The best point so far and its gain on validation."""
    winner = standings.winner
    if winner is None:
        return NO_BEST
    metric = winner.point.metric
    gain = METRICS[metric].goodness(winner.score - winner.baseline_score)
    scores = f"{metric} {score_words(metric, winner.score)}, {unit_of(metric).difference(gain)} on validation"
    return f"{describe_point(winner.point)}: {scores}"
