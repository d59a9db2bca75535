"""One call of ``clipsweep run``: checks, lock, loop, report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console

from clipsweep.cluster.pool import Pool
from clipsweep.orchestrator.claims.hold import Hold
from clipsweep.orchestrator.folder.end import End, earlier_end, forget_end, write_end
from clipsweep.orchestrator.folder.ledger import Ledger, forgive_deaths
from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.log_file import log_warning, warned_of
from clipsweep.orchestrator.folder.open_study import default_folder, write_study
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.plan.ahead import look_ahead, screen_notes, task_notes, theory_notes
from clipsweep.orchestrator.plan.check_trials import check_trials
from clipsweep.orchestrator.plan.prepare import Prepared, prepare, recheck
from clipsweep.orchestrator.progress.goal import goal_of
from clipsweep.orchestrator.progress.progress import Progress
from clipsweep.orchestrator.run.interrupt import Interrupt
from clipsweep.orchestrator.run.loop import RunLoop
from clipsweep.orchestrator.run.start_pool import start_pool
from clipsweep.orchestrator.run.study_log import recorded_warnings
from clipsweep.orchestrator.status.live import forget_live
from clipsweep.orchestrator.study.schema import Study
from clipsweep.orchestrator.words import Say, print_line, say_nothing
from clipsweep.trials.base.errors import WriteError
from clipsweep.trials.base.kept_folders import KeptFolders
from clipsweep.trials.base.os_words import worded_as


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended.

    Attributes:
        snapshot: The study as run, with what is stored of it.
        interrupted: Whether it was asked to stop before its end.
    """

    snapshot: Snapshot
    interrupted: bool


def check_run(
    study: Study, folder: Path, cache: Path, say: Say = say_nothing, *, verify_hashes: bool = False
) -> tuple[Prepared, list[str]]:
    """All that can be checked before a replica starts: names, rows, and the prompts of the trials to come.

    Args:
        study: As its file says.
        folder: Where it lives, or will.
        cache: For factors, converted checkpoints and file hashes.
        say: Shows the user what is waited for.
        verify_hashes: Whether all files of the model are read, whatever is remembered of their hashes.

    Returns:
        The study with what a run needs, and what the user should know.

    Raises:
        ClipsweepError: Anything that cannot be run.
    """
    say(f"{study.name}: looking at the model and reading the rows …")
    prepared = prepare(study, folder, cache, verify_hashes=verify_hashes)
    opened = prepared.opened
    ledger = Ledger(opened)
    ahead = look_ahead(opened, ledger)
    if ahead.missing:
        say("checking the prompts …")
    notes = check_trials(prepared, ahead.missing) + task_notes(opened) + screen_notes(opened)
    return prepared, notes + theory_notes(opened, ledger.rows)


def run_study(
    study: Study,
    folder: Path | None,
    cache: Path,
    console: Console,
    *,
    verify_hashes: bool = False,
    retry_failed: bool = False,
) -> Outcome:
    """Run or resume a study in this process; replicas run where the study says.

    Args:
        study: As its file says.
        folder: Where it lives; None for the default.
        cache: For factors, converted checkpoints and file hashes.
        console: Shows the progress.
        verify_hashes: Whether all files of the model are read, whatever is remembered of their hashes.
        retry_failed: Whether trials that took their replicas with them are tried again; others that failed always are.

    Raises:
        ClipsweepError: Bad input, a busy study, one that another run took over, or replicas that cannot be had.
    """
    say = partial(print_line, console)
    prepared, notes = check_run(study, folder or default_folder(study), cache, say, verify_hashes=verify_hashes)
    with (
        study_lock(prepared.opened.folder, say) as held,
        _kept(prepared.opened.folder) as kept,
        worded_as(WriteError),
    ):
        forget_live(prepared.opened.folder.status)
        prepared.opened.table.take_over(held.token, held.check)
        if held.note is not None:
            log_warning(prepared.opened.folder, held.note)
        recheck(prepared.opened)
        if retry_failed:
            forgive_deaths(prepared.opened.folder)
        opened = prepared.opened.choose_layers()
        prepared = replace(prepared, opened=opened)
        ledger = Ledger(opened, kept=kept)
        progress = Progress(opened.folder.status, console, goal_of(opened, ledger))
        for note in notes:
            progress.say(f"note: {note}")
            if note not in warned_of(opened.folder):
                log_warning(opened.folder, note)
        interrupt = Interrupt(progress.say)
        ended = earlier_end(opened.folder)
        forget_end(opened.folder)
        with interrupt.watched(), recorded_warnings(opened.folder, progress.say), progress.shown():
            try:
                start = partial(_start, prepared, ledger, held, progress.waits_for)
                loop = RunLoop(opened, ledger, start, progress, interrupt, ended)
                loop.run()
                held.check()
                write_study(opened)
                if not interrupt.requested:
                    opened.table.merge()
                    held.check()
                    write_end(opened.folder, End.of(opened.study, ledger.rows, loop.stopped_by))
            except KeyboardInterrupt:
                interrupt.requested = True
        snapshot = Snapshot.take(opened.choose_layers())
        if snapshot.opened.folder.study.is_file():  # not where it was interrupted before its replicas were there
            held.check()
            _write_report(snapshot, prepared)
    return Outcome(snapshot=snapshot, interrupted=interrupt.requested)


def _kept(folder: StudyFolder) -> KeptFolders:
    """The folders that must not go away while the study runs."""
    return KeptFolders([folder.path, folder.trials])


def _write_report(snapshot: Snapshot, prepared: Prepared) -> None:
    from clipsweep.orchestrator.reporting.report_facts import write_study_report  # here, as it loads plotly

    write_study_report(snapshot, lambda: prepared.task)


def _start(prepared: Prepared, ledger: Ledger, held: Hold, say: Say) -> Pool:
    """Start the replicas; once they are there, the study may be written into its folder."""
    pool = start_pool(prepared, say, ledger.deaths)
    held.check()
    write_study(prepared.opened)
    return pool
