"""How far a study is: counts from its rows, and what the running process says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.folder.end import read_end
from clipsweep.orchestrator.folder.ledger import Ledger, is_given_up, read_deaths
from clipsweep.orchestrator.folder.log_file import last_warnings
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.stored import is_there
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.plan.ahead import look_ahead
from clipsweep.orchestrator.status.live import plain
from clipsweep.orchestrator.status.liveness import Liveness, look_at_run
from clipsweep.trials.spec.result import TrialState


def status_of(path: Path) -> dict[str, Any]:
    """The status of the study in a folder, also while its first run still loads its replicas.

    Returns:
        As ``read_status`` does.

    Raises:
        StudyError: No study there, and none begins.
        StoreError: A file of it is damaged.
    """
    folder = StudyFolder(path)
    if not is_there(folder.subject):
        run = look_at_run(folder)
        if run.alive:
            return with_run(begun(run), run) | {"warnings": last_warnings(folder)}
    return read_status(Snapshot.take(reopen(path)))


def read_status(snapshot: Snapshot, run: Liveness | None = None) -> dict[str, Any]:
    """Counts from the store; rate, time left and replicas from the running process, if there is one.

    Args:
        snapshot: Of the study.
        run: What is known of its run, where that has been looked up.

    Returns:
        The document of ``clipsweep status --json``. Its ``state`` is ``running``, ``done``, ``failed`` or
        ``interrupted``; ``partial`` counts trials that wait for the next part of a race, ``pruned`` those that it
        stopped; ``given_up`` those of ``failed`` that only ``--retry-failed`` runs again; ``total_on_test`` are those
        of ``total`` that run on test; ``stopped_by`` is the stopping rule that ended the search, if one did;
        ``warnings`` are the last lines of the study's log, those of earlier runs too; ``alive`` is whether a process
        runs it, ``updated_at`` when a run last said something, ``age_s`` how long ago that was; ``rows`` are those that
        its trials have seen in all runs.
    """
    return with_run(read_stored(snapshot), run or look_at_run(snapshot.opened.folder))


def read_stored(snapshot: Snapshot) -> dict[str, Any]:
    """The part of the status that follows from what is stored; its state is that of a study that nothing runs."""
    opened = snapshot.opened
    count, deaths = snapshot.count_states(), read_deaths(opened.folder)
    end = read_end(opened.folder)
    total = sum(count.values()) if end else _count_all(snapshot)  # what a stopping rule left out is not waited for
    return {
        "state": "interrupted" if _is_cut_off(snapshot, count, total) else _how_it_ended(count),
        "done": count[TrialState.COMPLETE],
        "running": 0,
        "partial": count[TrialState.PARTIAL],
        "pruned": count[TrialState.PRUNED],
        "failed": count[TrialState.FAILED],
        "given_up": sum(is_given_up(row, deaths) for row in snapshot.failed),
        "total": total,
        "total_on_test": len(snapshot.tested),
        "stopped_by": end.stopped_by if end else None,
        "rows": snapshot.count_rows_seen(),
        "warnings": last_warnings(opened.folder),
    }


def begun(run: Liveness) -> dict[str, Any]:
    """The same of a study of which nothing is stored yet, as its run knows it."""
    counts = dict.fromkeys(
        ("done", "running", "partial", "pruned", "failed", "given_up", "total", "total_on_test", "rows"), 0
    )
    total = run.live.total if run.live else 0
    return {"state": "interrupted", **counts, "total": total, "stopped_by": None, "warnings": []}


def with_run(stored: dict[str, Any], run: Liveness) -> dict[str, Any]:
    """The whole status: what is stored, and what the last run says of itself."""
    return stored | {"state": "running" if run.alive else stored["state"]} | _of_run(run)


def _of_run(run: Liveness) -> dict[str, Any]:
    """What the last run says of itself; rates, time left and replicas are those of a run that lives."""
    live, now = run.live, run.live if run.alive else None
    return {
        "running": now.running if now else 0,
        "trials_per_second": now.trials_per_second if now else None,
        "seconds_left": now.seconds_left if now else None,
        "replicas": [] if now is None else plain([asdict(each) for each in now.replicas]),
        "lost": [] if now is None else plain([asdict(each) for each in now.lost]),
        "seconds_left_at_most": now.at_most if now else False,
        "rows_per_second": now.rows_per_second if now else None,
        "waits_for": now.waits_for if now else None,
        "replicas_lost": now.replicas_lost if now else 0,
        "last_result_at": plain(live.last_result_at) if live else None,
        "alive": run.alive,
        "pid": live.pid if live else None,
        "host": live.host if live else None,
        "began_at": plain(live.began_at) if live else None,
        "updated_at": plain(live.updated_at) if live else None,
        "ended_at": plain(live.ended_at) if live else None,
        "age_s": None if run.age_s is None else round(run.age_s, 1),
    }


def _count_all(snapshot: Snapshot) -> int:
    """How many trials the study has in all, as far as that is known."""
    ahead = look_ahead(snapshot.opened, Ledger(snapshot.opened, snapshot.rows))
    return max(len(snapshot.searched), ahead.total) + len(snapshot.tested)


def _is_cut_off(snapshot: Snapshot, count: Mapping[TrialState, int], total: int) -> bool:
    """Whether the study stopped before its end.

    What a race, or a sampler without a number of trials, has yet to run cannot be told from the rows. Nor can it be
    told of trials that have seen some rows, as a study that was raced may go on without its race. Such a study is at
    its end when that was noted.
    """
    opened = snapshot.opened
    some_cut_short = count[TrialState.PARTIAL] + count[TrialState.PRUNED] > 0
    open_ended = opened.study.search.race is not None or opened.is_searched or some_cut_short
    return total > sum(count.values()) or (open_ended and read_end(opened.folder) is None)


def _how_it_ended(count: dict[TrialState, int]) -> str:
    return "failed" if count[TrialState.FAILED] else "done"
