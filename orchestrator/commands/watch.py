"""``clipsweep watch``: a study that runs, from another terminal or machine; nothing but files is read."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from clipsweep.orchestrator.terminal.shell import Folder, refusing
from clipsweep.orchestrator.words import print_line

if TYPE_CHECKING:
    from clipsweep.orchestrator.status.watcher import Seen, Watcher

LOOK_SECONDS = 1.0
LINE_SECONDS = 30.0  # between two lines where there is no terminal
SILENT_SECONDS = 240.0
WARNINGS_SHOWN = 3  # at the end


@refusing
def watch(folder: Folder) -> None:
    """A running study, live, until it ends. Ctrl-C ends watching, not the study, with exit code 0."""
    watch_study(folder)


def watch_study(folder: Path) -> None:
    """Show a study until no process runs it any more, or the user has seen enough."""
    from clipsweep.orchestrator.status.watcher import Watcher
    from clipsweep.orchestrator.status.words import describe_status

    watcher, console = Watcher(folder), Console()
    try:
        seen = watcher.look()
        if not seen.is_over:
            seen = _draw(watcher, console) if console.is_terminal else _print_lines(watcher, console)
    except KeyboardInterrupt:
        return
    last = {"warnings": seen.document["warnings"][-WARNINGS_SHOWN:]}
    print_line(console, describe_status(seen.document | last))
    print_line(console, f"best so far: {seen.best}")


def _draw(watcher: Watcher, console: Console) -> Seen:
    """Draw the study over and over in its place; the last look."""
    from rich.live import Live

    from clipsweep.orchestrator.status.screen import draw

    with Live(console=console, screen=True, auto_refresh=False) as live:
        while not (seen := watcher.look()).is_over:
            live.update(draw(seen, console), refresh=True)
            time.sleep(LOOK_SECONDS)
    return seen


def _print_lines(watcher: Watcher, console: Console) -> Seen:
    """Print a line when something has changed, and from time to time when nothing has; the last look."""
    from clipsweep.orchestrator.status.screen import line_of

    line_at, known = -LINE_SECONDS, None
    while not (seen := watcher.look()).is_over:
        silent, news = time.monotonic() - line_at, (seen.document["rows"], seen.document["waits_for"])
        if silent >= SILENT_SECONDS or (silent >= LINE_SECONDS and news != known) or known is None:
            line_at, known = time.monotonic(), news
            print_line(console, line_of(seen))
        time.sleep(LOOK_SECONDS)
    return seen
