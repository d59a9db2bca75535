"""How far a study is: counts from its rows, and what the running process says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from clipsweep.orchestrator.folder.end import read_end
from clipsweep.orchestrator.folder.ledger import Ledger, is_given_up, read_deaths
from clipsweep.orchestrator.folder.lock import is_locked
from clipsweep.orchestrator.folder.log_file import last_warnings
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.folder.stored import read_json
from clipsweep.orchestrator.plan.ahead import look_ahead
from clipsweep.orchestrator.words import by_split, format_seconds
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.spec.trial import TEST, VALIDATION


def read_status(snapshot: Snapshot) -> dict[str, Any]:
    """Counts from the store; rate, time left and replicas from the running process, if there is one.

    Returns:
        The document of ``clipsweep status --json``. Its ``state`` is ``running``, ``done``, ``failed`` or
        ``interrupted``; ``partial`` counts trials that wait for the next part of a race, ``pruned`` those that it
        stopped; ``given_up`` those of ``failed`` that only ``--retry-failed`` runs again; ``total_on_test`` are those
        of ``total`` that run on test; ``stopped_by`` is the stopping rule that ended the search, if one did;
        ``warnings`` are the last lines of the study's log, those of earlier runs too.
    """
    opened = snapshot.opened
    count, deaths = _count_states(snapshot), read_deaths(opened.folder)
    end = read_end(opened.folder)
    total = sum(count.values()) if end else _count_all(snapshot)  # what a stopping rule left out is not waited for
    is_running = is_locked(opened.folder)
    live = _read_live(opened) if is_running else {}
    ended = "interrupted" if _is_cut_off(snapshot, count, total) else _how_it_ended(count)
    return {
        "state": "running" if is_running else ended,
        "done": count[TrialState.COMPLETE],
        "running": live.get("running", 0),
        "partial": count[TrialState.PARTIAL],
        "pruned": count[TrialState.PRUNED],
        "failed": count[TrialState.FAILED],
        "given_up": sum(is_given_up(row, deaths) for row in snapshot.called_for),
        "total": total,
        "total_on_test": len(snapshot.tested),
        "stopped_by": end.stopped_by if end else None,
        "trials_per_second": live.get("trials_per_second"),
        "seconds_left": live.get("seconds_left"),
        "replicas": live.get("replicas", []),
        "warnings": last_warnings(opened.folder),
    }


def _count_states(snapshot: Snapshot) -> dict[TrialState, int]:
    """How many of the trials that stored rows call for are in each state."""
    states = [row.state for row in snapshot.called_for]
    return {state: states.count(state) for state in TrialState}


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


def _read_live(opened: OpenStudy) -> dict[str, Any]:
    """What the running process last said of itself."""
    path = opened.folder.status
    return read_json(path, "The running study writes it anew; ask again.") if path.is_file() else {}


def describe_status(document: dict[str, Any]) -> str:
    """The document in words."""
    on_test = document["total_on_test"]
    splits = {VALIDATION: document["total"] - on_test, TEST: on_test}
    counts = [f"{document['done']} of {document['total']} trials ({by_split(splits)})"]
    counts += [f"{document['partial']} part of their rows seen"] if document["partial"] else []
    counts += [f"{document['pruned']} stopped by the race"] if document["pruned"] else []
    lines = [f"{document['state']}: {', '.join(counts)}, {document['failed']} failed"]
    if document["stopped_by"]:
        lines.append(f"stopped by {document['stopped_by']}")
    if document["trials_per_second"]:
        seconds = document["seconds_left"]
        left = [] if seconds is None else [f"{format_seconds(seconds)} left"]
        rate = [f"{document['trials_per_second']:.2f} trials/s", *left, f"{document['running']} running"]
        lines.append(", ".join(rate))
    lines += [f"{replica['name']}: {replica['device']} of {replica['node']}" for replica in document["replicas"]]
    lines += ["last warnings (all are in the study's log.txt):"] if document["warnings"] else []
    lines += [f"  {warning}" for warning in document["warnings"]]
    return "\n".join(lines)
