"""What is stored of a study that a test has run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clipsweep.analysis.store.rows import Attempts, LatestRows
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.status.status import read_status


def take_snapshot(folder: Path) -> Snapshot:
    """What is stored now, as any command reads it."""
    return Snapshot.take(reopen(folder))


def status_of(folder: Path) -> dict[str, Any]:
    """The document of ``clipsweep status --json``."""
    return read_status(take_snapshot(folder))


def all_rows(folder: Path) -> Attempts:
    """Every stored attempt in the order they finished; none where no study is."""
    return ResultsTable(StudyFolder(folder).trials).read()


def latest_rows(folder: Path) -> LatestRows:
    """The latest attempt at each trial; none where no study is."""
    return all_rows(folder).latest()
