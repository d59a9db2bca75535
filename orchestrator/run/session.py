"""One call of ``clipsweep run``: checks, lock, loop, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from clipsweep.cluster.pool import Pool
from clipsweep.orchestrator.folder.end import End, forget_end, write_end
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.log_file import log_warning, warned_of
from clipsweep.orchestrator.folder.open_study import OpenStudy, default_folder, write_study
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.plan.ahead import look_ahead
from clipsweep.orchestrator.plan.prepare import Prepared, check_trials, prepare, recheck
from clipsweep.orchestrator.plan.relative_work import work_ahead
from clipsweep.orchestrator.run.interrupt import Interrupt
from clipsweep.orchestrator.run.loop import RunLoop
from clipsweep.orchestrator.run.progress import Progress
from clipsweep.orchestrator.run.start_pool import start_pool
from clipsweep.orchestrator.run.study_log import recorded_warnings
from clipsweep.orchestrator.status.report_facts import write_study_report
from clipsweep.orchestrator.study.schema import Study


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        snapshot: The study as run, with what is stored of it.
        interrupted: Whether it was asked to stop before its end.
    """

    snapshot: Snapshot
    interrupted: bool


def check_run(study: Study, folder: Path, cache: Path) -> tuple[Prepared, list[str]]:
    """All that can be checked before a replica starts: names, rows, and the prompts of the trials to come.

    Returns:
        The study with what a run needs, and what the user should know.

    Raises:
        ClipsweepError: Anything that cannot be run.
    """
    prepared = prepare(study, folder, cache)
    ahead = look_ahead(prepared.opened, Ledger(prepared.opened))
    return prepared, check_trials(prepared, ahead.missing)


def run_study(study: Study, folder: Path | None, cache: Path, console: Console) -> Outcome:
    """Run or resume a study in this process; replicas run where the study says.

    Raises:
        ClipsweepError: Bad input, a busy study, or replicas that cannot be had.
    """
    prepared, notes = check_run(study, folder or default_folder(study), cache)
    with study_lock(prepared.opened.folder):
        recheck(prepared.opened)
        opened = prepared.opened.choose_layers()
        prepared = replace(prepared, opened=opened)
        ledger = Ledger(opened)
        progress = _open_progress(opened, ledger, console)
        for note in notes:
            progress.say(f"note: {note}")
            if note not in warned_of(opened.folder):
                log_warning(opened.folder, note)
        interrupt = Interrupt(progress.say)
        forget_end(opened.folder)
        with interrupt.watched(), recorded_warnings(opened.folder, progress.say):
            try:
                loop = RunLoop(opened, ledger, lambda: _start(prepared, cache), progress, interrupt)
                loop.run()
                write_study(opened)
                if not interrupt.requested:
                    write_end(opened.folder, End(stopped_by=loop.stopped_by))
            except KeyboardInterrupt:
                interrupt.requested = True
            finally:
                progress.close()
        snapshot = Snapshot.take(opened.choose_layers())
        write_study_report(snapshot)
    return Outcome(snapshot=snapshot, interrupted=interrupt.requested)


def _start(prepared: Prepared, cache: Path) -> Pool:
    """Start the replicas; once they are there, the study may be written into its folder."""
    pool = start_pool(prepared, cache)
    write_study(prepared.opened)
    return pool


def _open_progress(opened: OpenStudy, ledger: Ledger, console: Console) -> Progress:
    ahead = look_ahead(opened, ledger)
    return Progress(opened.folder.status, console, known=ahead.known, total=ahead.total, work=work_ahead(opened, ahead))
