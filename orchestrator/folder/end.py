"""The note that a study has come to its end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from clipsweep.orchestrator.folder.stored import is_there, read_json, whole
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.files import sync_folder, write_text

MEND = "Run the study again: it is written anew."


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """How a study ended.

    Attributes:
        stopped_by: The stopping rule that ended its search, as the study file words it; None if none did.
    """

    stopped_by: str | None


def write_end(folder: StudyFolder, end: End) -> None:
    """Note that a study has ended."""
    write_text(folder.end, json.dumps(asdict(end)), within=folder.path)


def forget_end(folder: StudyFolder) -> None:
    """Forget that it has ended, as it is run again."""
    if folder.end.exists():
        folder.end.unlink()
        sync_folder(folder.path)  # else it is back when the power fails, and the study seems to have ended


def read_end(folder: StudyFolder) -> End | None:
    """How a study ended; None while it has not.

    Raises:
        StoreError: The note is damaged.
    """
    if not is_there(folder.end):
        return None
    with whole(folder.end, MEND):
        end = End(**read_json(folder.end, MEND))
        if not isinstance(end.stopped_by, str | None):
            raise TypeError(f"stopped_by is {end.stopped_by!r}")
        return end
