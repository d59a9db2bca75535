"""A run's progress in one line."""

from __future__ import annotations

from datetime import UTC, datetime

from clipsweep.orchestrator.progress.goal import Pace
from clipsweep.orchestrator.status.live import Live
from clipsweep.orchestrator.status.words import describe_left
from clipsweep.orchestrator.words import format_seconds
from clipsweep.trials.base.errors import counted

QUIET_S = 60.0  # without a result, before a line says so


def describe_progress(live: Live, pace: Pace, waits_since: datetime | None = None) -> str:
    """The counts, each with its name, the rates, and what is waited for, since the run began or since then."""
    if live.waits_for is not None:
        seconds = (live.updated_at - (waits_since or live.began_at)).total_seconds()
        return f"{live.waits_for} ({format_seconds(seconds)} so far)"
    words = _counts(live, pace)
    words += [f"{live.rows_per_second:,.0f} rows/s"] if live.rows_per_second else []
    if len(live.replicas) > 1 or live.lost:
        words.append(counted(len(live.replicas), "replica"))
    words += describe_left(live.seconds_left, at_most=live.at_most)
    words += [f"{live.failed} failed"] if live.failed else []
    words += [quiet] if (quiet := _silence(live)) else []
    return ", ".join(words)


def _counts(live: Live, pace: Pace) -> list[str]:
    """What is counted, of how much, and how fast."""
    if pace is Pace.ROWS:
        of_all = "" if live.rows_left is None else f" of some {live.rows + live.rows_left:,}"
        return [f"{live.rows:,}{of_all} rows seen"]
    whole = f"{live.done:,}/{live.total:,} trials"
    words = [whole if pace is Pace.TRIALS else counted(live.done, "trial")]
    return words + ([f"{live.trials_per_second:.2f} trials/s"] if live.trials_per_second else [])


def _silence(live: Live) -> str:
    """What is waited for where nothing has come for a while; empty else."""
    since = live.last_result_at or (live.replicas[0].up_since if live.replicas else live.began_at)
    seconds = (datetime.now(UTC) - since).total_seconds()
    if seconds < QUIET_S or live.ended_at is not None:
        return ""
    return f"no result for {format_seconds(seconds)}, waiting for {counted(live.running, 'trial')}"
