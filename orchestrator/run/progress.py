"""What a run shows while it runs: a bar with rate and time left on a terminal and in a notebook, plain lines elsewhere.

The same numbers are kept in ``<dir>/status.json`` for ``clipsweep status``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as RichProgress

from clipsweep.orchestrator.words import format_seconds
from clipsweep.trials.base.files import write_text
from clipsweep.trials.spec.result import TrialResult, TrialState

LINE_SECONDS = 10.0
FILE_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class Status:
    """Where a run is. Counts are of distinct trials.

    Attributes:
        done: Complete, known ones included.
        failed: Failed in this run.
        running: Sent to a replica, result not back.
        total: All that the study needs, as far as is known.
        trials_per_second: Of this run; None before the first result.
        seconds_left: Told from what finished trials cost and what is left.
        replicas: Name, node and device of each.
    """

    done: int
    failed: int
    total: int
    running: int = 0
    trials_per_second: float | None = None
    seconds_left: float | None = None
    replicas: Sequence[dict[str, str]] = ()


class Progress:
    """Shows a run's progress on standard error and in the study's folder."""

    def __init__(self, path: Path, console: Console, *, known: int, total: int, work: float) -> None:
        """Show nothing until the first trial must run.

        Args:
            path: The file that says where the run is.
            console: Where to show it.
            known: Trials that need not run.
            total: Trials in all.
            work: What the others cost, in any unit: the time left is told from it.
        """
        self._path = path
        self._console = console
        self._status = Status(done=known, failed=0, total=total)
        self._known = known
        self._work_left, self._work_done = work, 0.0
        self._began = time.monotonic()
        self._line_at = self._file_at = 0.0
        self._bar: RichProgress | None = None

    def started(self, replicas: Sequence[dict[str, str]]) -> None:
        """Replicas are up: the clock starts."""
        self._status.replicas = list(replicas)
        self._began = time.monotonic()
        devices = ", ".join(f"{replica['name']} on {replica['device']}" for replica in replicas)
        self.say(f"{len(replicas)} replicas: {devices}")
        if _can_draw(self._console):
            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = RichProgress(*columns, console=self._console)
            self._bar.add_task("", total=self._status.total, completed=self._status.done)
            self._bar.start()

    def expect(self, *, known: int, total: int, work: float) -> None:
        """Count anew, before any trial has run, and start the clock again: the layers have been chosen."""
        self._known = known
        self._status.done, self._status.total = known, total
        self._work_left = work
        self._began = time.monotonic()

    def add_to_total(self, count: int, work: float) -> None:
        """Learn of more trials: winners on the test split."""
        self._status.total += count
        self._work_left += work

    def finished(self, results: Sequence[TrialResult], running: int, work: float) -> None:
        """Count results and what they cost; prints a line every few seconds where there is no bar."""
        status, now = self._status, time.monotonic()
        status.running = running
        self._work_left -= work
        self._work_done += work
        failed = sum(result.state is TrialState.FAILED for result in results)
        status.failed += failed
        status.done += len(results) - failed
        ran = status.done - self._known + status.failed
        if ran:
            elapsed = max(now - self._began, 1e-6)
            status.trials_per_second = ran / elapsed
            status.seconds_left = max(0.0, self._work_left) * elapsed / self._work_done
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0], completed=status.done, total=status.total, description=self._words()
            )
        elif ran and now - self._line_at >= LINE_SECONDS:
            self._line_at = now
            self.say(f"{status.done}/{status.total} trials, {self._words()}")
        if now - self._file_at >= FILE_SECONDS:
            self._file_at = now
            self._write()

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        print_line(self._console, message)

    def close(self) -> None:
        """Take the bar down and leave the last numbers in the folder."""
        if self._bar is not None:
            self._bar.refresh()  # rich draws the last numbers by itself on a terminal alone
            self._bar.stop()
        self._status.running, self._status.seconds_left = 0, None
        if self._status.replicas:
            self._write()

    def _words(self) -> str:
        status = self._status
        words = [f"{status.trials_per_second:.2f} trials/s"] if status.trials_per_second else []
        if status.seconds_left is not None:
            words.append(f"{format_seconds(status.seconds_left)} left")
        if status.failed:
            words.append(f"{status.failed} failed")
        return ", ".join(words)

    def _write(self) -> None:
        write_text(self._path, json.dumps(asdict(self._status)))


def print_line(console: Console, message: str) -> None:
    """Print a line as it is: no markup, no wrapping."""
    console.print(message, markup=False, highlight=False, soft_wrap=True)


def _can_draw(console: Console) -> bool:
    """Whether a bar can be drawn over and over in its place; in a notebook rich does that with ipywidgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
