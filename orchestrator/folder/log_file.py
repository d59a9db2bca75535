"""The log of a study: a dated line for each warning of any run."""

from __future__ import annotations

from datetime import UTC, datetime

from clipsweep.orchestrator.folder.stored import is_there
from clipsweep.orchestrator.folder.study_folder import StudyFolder

SHOWN = 10
SEPARATOR = "  "  # between the date and the text of a line


def log_warning(folder: StudyFolder, text: str) -> None:
    """Append a line. The file is closed again at once, so that the line outlives a process that is killed.

    Args:
        folder: Of the study; it exists.
        text: One line.
    """
    with folder.log.open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC{SEPARATOR}{text}\n")


def last_warnings(folder: StudyFolder) -> list[str]:
    """The last ten lines of the log with their dates, oldest first; none where nothing was ever warned of."""
    return _lines(folder)[-SHOWN:]


def warned_of(folder: StudyFolder) -> list[str]:
    """What the log says without its dates, each once, oldest first."""
    return list(dict.fromkeys(line.partition(SEPARATOR)[2] for line in _lines(folder)))


def _lines(folder: StudyFolder) -> list[str]:
    if not is_there(folder.log):
        return []
    return folder.log.read_text(encoding="utf-8", errors="replace").splitlines()  # a line may be torn
