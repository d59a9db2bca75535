"""A study's status in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from clipsweep.orchestrator.status.liveness import SILENT_S
from clipsweep.orchestrator.words import by_split, format_seconds
from clipsweep.trials.base.errors import counted
from clipsweep.trials.spec.trial import TEST, VALIDATION


def describe_status(document: dict[str, Any]) -> str:
    """The document of ``clipsweep status --json`` in words."""
    lines = [f"{document['state']}: {describe_counts(document)}"]
    if document["stopped_by"]:
        lines.append(f"stopped by {document['stopped_by']}")
    lines += [f"waiting: {document['waits_for']}"] if document["waits_for"] else []
    lines += [rate] if (rate := describe_rate(document)) else []
    lines += [word] if (word := describe_word(document)) else []
    lines += [describe_replica(replica) for replica in document["replicas"]]
    lines += [f"{counted(lost, 'replica')} lost in this run"] if (lost := document["replicas_lost"]) else []
    lines += ["last warnings (all are in the study's log.txt):"] if document["warnings"] else []
    lines += [f"  {warning}" for warning in document["warnings"]]
    return "\n".join(lines)


def count_finished(document: Mapping[str, Any]) -> int:
    """How many trials have a row."""
    return sum(document[state] for state in ("done", "partial", "pruned", "failed"))


def describe_counts(document: dict[str, Any]) -> str:
    """How many trials there are of each kind: over are those that saw all rows, and those that a race stopped."""
    on_test = document["total_on_test"]
    splits = by_split({VALIDATION: document["total"] - on_test, TEST: on_test})
    over = document["done"] + document["pruned"]
    counts = [f"{over} of {document['total']} trials" + (f" ({splits})" if splits else "")]
    counts += [f"{document['pruned']} of them stopped early by the race"] if document["pruned"] else []
    counts += [f"{document['partial']} part of their rows seen"] if document["partial"] else []
    return ", ".join([*counts, f"{document['failed']} failed"])


def describe_rate(document: dict[str, Any]) -> str:
    """How fast the run is, and how long it will take; empty before its first result."""
    if not document["trials_per_second"]:
        return ""
    words = [f"{document['trials_per_second']:.2f} trials/s", f"{document['rows_per_second']:,.0f} rows/s"]
    words += describe_left(document["seconds_left"], at_most=document["seconds_left_at_most"])
    return ", ".join([*words, f"{document['running']} running"])


def describe_left(seconds: float | None, *, at_most: bool) -> list[str]:
    """The time left, as a list of one; of none where it is not known."""
    return [] if seconds is None else [f"{'at most ' if at_most else ''}{format_seconds(seconds)} left"]


def describe_word(document: dict[str, Any]) -> str:
    """How old the knowledge is, and whether the process that runs the study lives; empty where nothing is to say."""
    age, process = document["age_s"], f"process {document['pid']} on {document['host']}"
    if document["alive"]:
        if age is None:
            return "a process runs it, and has not said anything yet"
        if age < SILENT_S:
            return f"last word {age:.0f} s ago, from {process}"
        return (
            f"no word for {format_seconds(age)} from {process}: it was stopped, hangs, or cannot write here. Look at "
            f"it there; 'kill -CONT {document['pid']}' wakes a stopped one"
        )
    if document["state"] != "interrupted":
        return ""
    if age is None:
        return "nothing runs it now; run it again to resume"
    if document["ended_at"]:
        return f"its last run stopped {format_seconds(age)} ago; run it again to resume"
    return f"{process}, which ran it, is gone; last heard of {format_seconds(age)} ago. Run it again to resume"


def describe_replica(replica: dict[str, Any]) -> str:
    """A replica that is up: where it is, how fast, since when."""
    rate = replica["rows_per_second"]
    words = [f"{replica['name']}: {replica['device']} of {replica['node']}"]
    words += [f"{rate:,.0f} rows/s"] if rate is not None else []
    return ", ".join([*words, f"up since {clock(replica['up_since'])}"])


def clock(time: str) -> str:
    """A stored time as the clock on the wall shows it."""
    return f"{datetime.fromisoformat(time).astimezone():%H:%M:%S}"
