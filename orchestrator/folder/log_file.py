"""The log of a study: ``log.txt`` in its folder, with a dated line for each warning of any run."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

LOG = "log.txt"
SHOWN = 10


def log_warning(folder: Path, text: str) -> None:
    """Append a line. The file is closed again at once, so that the line outlives a process that is killed.

    Args:
        folder: Of the study; it exists.
        text: One line.
    """
    with (folder / LOG).open("a", encoding="utf-8") as log:
        log.write(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC  {text}\n")


def last_warnings(folder: Path) -> list[str]:
    """The last ten lines of the log with their dates, oldest first; none where nothing was ever warned of."""
    path = folder / LOG
    return path.read_text(encoding="utf-8").splitlines()[-SHOWN:] if path.is_file() else []
