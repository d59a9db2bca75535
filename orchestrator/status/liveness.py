"""Whether the process that runs a study lives, and how long ago it last said so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from clipsweep.orchestrator.folder.lock import is_locked
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.status.live import Live, read_live

SILENT_S = 30.0  # a run writes every second; after so long without a word something is wrong with it


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """What is known of a study's run from its folder alone.

    Attributes:
        alive: Whether a process holds the study.
        live: What the last run said of itself; None where none did.
        age_s: How long ago that was, by this machine's clock; None where none did.
    """

    alive: bool
    live: Live | None
    age_s: float | None


def look_at_run(folder: StudyFolder) -> Liveness:
    """Look whether a study runs, and what its run last said."""
    alive = driver_lives(folder)
    live = read_live(folder.status)
    if live is None:
        return Liveness(alive=alive, live=None, age_s=None)
    age = (datetime.now(UTC) - live.updated_at).total_seconds()
    return Liveness(alive=alive, live=live, age_s=max(0.0, age))


def driver_lives(folder: StudyFolder) -> bool:
    """Whether a process runs the study now."""
    return is_locked(folder)
