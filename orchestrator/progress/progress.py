"""What a run shows while it runs: a bar on a terminal and in a notebook, plain lines elsewhere.

The same numbers are kept in ``<dir>/status.json`` for ``clipsweep status`` and ``clipsweep watch``.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.progress.counts import Counts
from clipsweep.orchestrator.progress.goal import Goal, Pace
from clipsweep.orchestrator.progress.left import Rows
from clipsweep.orchestrator.progress.words import describe_progress
from clipsweep.orchestrator.status.live import write_live
from clipsweep.orchestrator.words import print_line
from clipsweep.trials.base.errors import counted
from clipsweep.trials.base.os_words import word_os_error
from clipsweep.trials.spec.result import TrialResult

LINE_SECONDS = 30.0  # between two lines, at least
SILENT_SECONDS = 240.0  # and at most, whatever happens
FILE_SECONDS = 1.0
TICK_SECONDS = 1.0
log = logging.getLogger(__name__)


class Progress:
    """Shows a run's progress on standard error and in the study's folder.

    The run loop tells what happens. While it waits, in a trial of its own process or for Ray, a thread goes on showing.
    """

    def __init__(self, path: Path, console: Console, goal: Goal) -> None:
        """Show nothing yet.

        Args:
            path: The file that says where the run is.
            console: Where to show it.
            goal: What the run is after.
        """
        self._path = path
        self._console = console
        self._counts = Counts(goal)
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._unwritten = False  # whether the file could not be written once
        self._line_at = self._file_at = 0.0
        self._lined_at = time.monotonic()  # last line of any kind
        self._news = False
        self._bar: RichProgress | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Inside the block a thread shows what is waited for; after it the last numbers are in the folder."""
        thread = threading.Thread(target=self._tick, name="progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()
            self._close()

    def waits_for(self, what: str) -> None:
        """Say what no trial can run without; it stands in lines and in the file until the first result."""
        is_new = what.endswith("…")
        with self._lock:
            self._counts.waits_for = what
            if is_new:
                self._counts.waits_since = datetime.now(UTC)
            self._news = not is_new
            self._write()
        if is_new:
            self.say(what)

    def started(self, replicas: Sequence[Mapping[str, str]]) -> None:
        """Replicas are up: the clock starts."""
        devices = ", ".join(f"{replica['name']} on {replica['device']}" for replica in replicas)
        self.say(f"{counted(len(replicas), 'replica')}: {devices}")
        with self._lock:
            self._counts.waits_for = None
            self._counts.see_replicas(replicas)
            self._counts.start_clock()
            self._write()
            if _can_draw(self._console):
                self._bar = RichProgress(BarColumn(), TextColumn("{task.description}"), console=self._console)
                self._bar.add_task("", total=None)
                self._draw(self._bar)
                self._bar.start()

    def replicas(self, replicas: Sequence[Mapping[str, str]]) -> None:
        """Hear which replicas are up now."""
        with self._lock:
            self._news |= self._counts.see_replicas(replicas)

    def expect(self, goal: Goal) -> None:
        """Count anew, before any trial has run, and start the clock again: the layers have been chosen."""
        with self._lock:
            self._counts.waits_for = None
            self._counts.aim(goal)

    def begun(self, rows: Rows, amount: Amount) -> None:
        """Learn of the next part of a race."""
        with self._lock:
            self._counts.begin(rows, amount)

    def begun_tests(self, tests: Amount) -> None:
        """Learn that the search is over, and what will run on the test split."""
        with self._lock:
            self._counts.begin_tests(tests)

    def finished(self, results: Sequence[TrialResult], running: int, amounts: Sequence[Amount]) -> None:
        """Count results and what each cost, and show it."""
        with self._lock:
            self._counts.running = running
            for result, amount in zip(results, amounts, strict=True):
                self._counts.end(result, amount)
            if results:
                self._counts.arrive(results)
                self._news = True
            self._show()

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        print_line(self._console, message)
        self._lined_at = time.monotonic()

    def _tick(self) -> None:
        """Show from time to time, for as long as the run lasts; in a thread of its own."""
        while not self._ended.wait(TICK_SECONDS):
            with self._lock:
                self._show()

    def _show(self) -> None:
        """Move the bar, or print a line where it is time for one, and write the file where that is."""
        now = time.monotonic()
        if self._bar is not None:
            self._draw(self._bar)
        elif now - self._lined_at >= SILENT_SECONDS or (self._news and now - self._line_at >= LINE_SECONDS):
            self._line_at, self._news = now, False
            self.say(describe_progress(self._counts.live(), self._counts.pace, self._counts.waits_since))
        if now - self._file_at >= FILE_SECONDS:
            self._write()

    def _draw(self, bar: RichProgress) -> None:
        """Fill the bar up to where the run is; where its end is not known it only moves."""
        live, pace = self._counts.live(), self._counts.pace
        done, total = {
            Pace.TRIALS: (live.done, live.total),
            Pace.TRIALS_SO_FAR: (live.done, None),
            Pace.ROWS: (live.rows, None if live.rows_left is None else live.rows + live.rows_left),
        }[pace]
        bar.update(
            bar.task_ids[0],
            completed=done,
            total=total,
            description=describe_progress(live, pace, self._counts.waits_since),
        )

    def _close(self) -> None:
        """Take the bar down and leave the last numbers in the folder."""
        self._counts.finish()
        if self._bar is not None:
            self._draw(self._bar)
            self._bar.refresh()  # rich draws the last numbers by itself on a terminal alone
            self._bar.stop()
        self._write()

    def _write(self) -> None:
        """Keep the numbers in the folder; they are no result, so that the study goes on where they cannot be kept."""
        self._file_at = time.monotonic()
        try:
            write_live(self._path, self._counts.live())
        except FileNotFoundError:  # the folder is gone, which the next flush of rows tells
            return
        except OSError as error:
            if not self._unwritten:
                log.warning("'clipsweep status' tells old numbers: %s", word_os_error(error, f"writing {self._path}"))
            self._unwritten = True


def _can_draw(console: Console) -> bool:
    """Whether a bar can be drawn over and over in its place; in a notebook rich does that with ipywidgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
