"""What a run shows while it runs: a bar with rate and time left on a terminal and in a notebook, plain lines elsewhere.

The same numbers are kept in ``<dir>/status.json`` for ``clipsweep status``.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.run.time_left import TimeLeft
from clipsweep.orchestrator.words import format_seconds, print_line
from clipsweep.trials.base.errors import counted
from clipsweep.trials.base.files import write_text
from clipsweep.trials.spec.result import TrialResult, TrialState

LINE_SECONDS = 10.0
FILE_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class Status:
    """Where a run is. Counts are of distinct trials; of a race, of parts of trials.

    Attributes:
        done: Complete, known ones included.
        failed: Failed in this run.
        running: Sent to a replica, result not back.
        total: All that the study needs, as far as is known.
        rows: Seen in this run.
        trials_per_second: Of this run; None before the first result.
        rows_per_second: The same of rows.
        seconds_left: Told from what finished trials cost and what is left; None while that would be a guess.
        replicas: Name, node and device of each.
    """

    done: int
    failed: int
    total: int
    running: int = 0
    rows: int = 0
    trials_per_second: float | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None
    replicas: Sequence[dict[str, str]] = ()


class Pace(StrEnum):
    """What a run counts.

    ``TRIALS`` of a known number; ``TRIALS_SO_FAR`` where a search stops when it has seen enough; ``ROWS`` of a race,
    whose trials run in parts and may be stopped after any of them.
    """

    TRIALS = "trials"
    TRIALS_SO_FAR = "trials so far"
    ROWS = "rows"


class Progress:
    """Shows a run's progress on standard error and in the study's folder."""

    def __init__(self, path: Path, console: Console, *, pace: Pace, known: int, left: Amount) -> None:
        """Show nothing until the first trial must run.

        Args:
            path: The file that says where the run is.
            console: Where to show it.
            pace: What is counted.
            known: Trials that need not run.
            left: The others.
        """
        self._path = path
        self._console = console
        self._pace = pace
        self._status = Status(done=known, failed=0, total=known + left.trials)
        self._left, self._ended = left, Amount()
        self._began = time.monotonic()
        self._time_left = TimeLeft()
        self._line_at = self._file_at = 0.0
        self._bar: RichProgress | None = None

    def started(self, replicas: Sequence[dict[str, str]]) -> None:
        """Replicas are up: the clock starts."""
        self._status.replicas = list(replicas)
        self._began = time.monotonic()
        devices = ", ".join(f"{replica['name']} on {replica['device']}" for replica in replicas)
        self.say(f"{counted(len(replicas), 'replica')}: {devices}")
        if _can_draw(self._console):
            self._bar = RichProgress(BarColumn(), TextColumn("{task.description}"), console=self._console)
            self._bar.add_task(self._words(), total=self._total(), completed=self._status.done)
            self._bar.start()

    def replicas_changed(self, replicas: Sequence[dict[str, str]]) -> None:
        """Hear which replicas there are now."""
        self._status.replicas = list(replicas)

    def expect(self, *, known: int, left: Amount) -> None:
        """Count anew, before any trial has run, and start the clock again: the layers have been chosen."""
        self._status.done, self._status.total = known, known + left.trials
        self._left = left
        self._began = time.monotonic()

    def add_to_total(self, more: Amount) -> None:
        """Learn of more trials: winners on the test split, the next parts of a race."""
        self._status.total += more.trials
        self._left += more

    def finished(self, results: Sequence[TrialResult], running: int, ended: Amount) -> None:
        """Count results and what they cost; prints a line every few seconds where there is no bar."""
        status, now = self._status, time.monotonic()
        status.running = running
        failed = sum(result.state is TrialState.FAILED for result in results)
        status.failed += failed
        status.done += len(results) - failed
        if results:
            self._left, self._ended = self._left - ended, self._ended + ended
            self._tell_pace(now)
        if self._bar is not None:
            self._bar.update(
                self._bar.task_ids[0], completed=status.done, total=self._total(), description=self._words()
            )
        elif self._ended.trials and now - self._line_at >= LINE_SECONDS:
            self._line_at = now
            self.say(self._words())
        if now - self._file_at >= FILE_SECONDS:
            self._file_at = now
            self._write()

    def _tell_pace(self, now: float) -> None:
        """Work out rates and the time left."""
        status, elapsed = self._status, max(now - self._began, 1e-6)
        self._time_left.note(now, self._ended)
        status.rows = self._ended.rows
        status.trials_per_second = self._ended.trials / elapsed
        status.rows_per_second = self._ended.rows / elapsed
        told = self._pace is Pace.TRIALS and self._left.trials > 0
        status.seconds_left = self._time_left.seconds(self._left) if told else None

    def _total(self) -> int | None:
        """What the bar is filled up to; None where that is not known."""
        return self._status.total if self._pace is Pace.TRIALS else None

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
        """The counts, each with its name, and the rate."""
        status = self._status
        if self._pace is Pace.ROWS:
            words = [f"{counted(status.rows, 'row')} seen"]
            words += [f"{status.rows_per_second:,.0f} rows/s"] if status.rows_per_second else []
        else:
            whole = f"{status.done:,}/{status.total:,} trials"
            words = [whole if self._pace is Pace.TRIALS else counted(status.done, "trial")]
            words += [f"{status.trials_per_second:.2f} trials/s"] if status.trials_per_second else []
        if status.seconds_left is not None:
            words.append(f"{format_seconds(status.seconds_left)} left")
        if status.failed:
            words.append(f"{status.failed} failed")
        return ", ".join(words)

    def _write(self) -> None:
        write_text(self._path, json.dumps(asdict(self._status)))


def _can_draw(console: Console) -> bool:
    """Whether a bar can be drawn over and over in its place; in a notebook rich does that with ipywidgets."""
    return console.is_terminal or (console.is_jupyter and find_spec("ipywidgets") is not None)
