"""What the process that runs a study last said of itself: ``status.json``, written every second while it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from clipsweep.trials.base.files import write_text


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaLife:
    """A replica, as the run has seen it.

    Attributes:
        name: As rows name it.
        node: Host name.
        device: Torch device.
        up_since: When it joined the run, UTC.
        down_since: When it was lost; None while it is up.
        rows: That it has seen in this run.
        rows_per_second: Of its last results; None before the first.
        last_result_at: When its last result came.
    """

    name: str
    node: str
    device: str
    up_since: datetime
    down_since: datetime | None = None
    rows: int = 0
    rows_per_second: float | None = None
    last_result_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Where a run is. Counts are of distinct trials; of a race, of parts of trials.

    Attributes:
        pid: Of the process that runs the study.
        host: Its machine.
        began_at: When this run began, UTC.
        updated_at: When this was written, UTC.
        ended_at: When the run ended in order, interrupted or not; None while it runs, and after it was killed.
        waits_for: What it waits for where no trial can run yet: ``"starting Ray …"``.
        done: Complete, known ones included.
        failed: Failed in this run.
        running: Sent to a replica, result not back.
        total: All that the study needs, as far as is known.
        rows: Seen in this run.
        rows_left: Still to see, where a race counts them; else None.
        trials_per_second: Of this run; None before the first result.
        rows_per_second: The same of rows.
        seconds_left: Told from what finished trials took and what is left; None while that would be a guess.
        at_most: Whether ``seconds_left`` is the most it can be, and not what is expected.
        last_result_at: When the last result came.
        replicas: Those that are up.
        lost: The last that were lost.
        replicas_lost: How many were, in this run.
    """

    pid: int
    host: str
    began_at: datetime
    updated_at: datetime
    ended_at: datetime | None = None
    waits_for: str | None = None
    done: int
    failed: int
    running: int
    total: int
    rows: int = 0
    rows_left: int | None = None
    trials_per_second: float | None = None
    rows_per_second: float | None = None
    seconds_left: float | None = None
    at_most: bool = False
    last_result_at: datetime | None = None
    replicas: tuple[ReplicaLife, ...] = ()
    lost: tuple[ReplicaLife, ...] = ()
    replicas_lost: int = 0

    def document(self) -> dict[str, Any]:
        """As JSON has it, times in ISO 8601."""
        document: dict[str, Any] = plain(asdict(self))
        return document


Value = TypeVar("Value", Live, ReplicaLife)
TIMES = {"began_at", "updated_at", "ended_at", "last_result_at", "up_since", "down_since"}


def write_live(path: Path, live: Live) -> None:
    """Write it whole.

    Raises:
        OSError: The disk is full, or the study's folder is gone, which is not made anew.
    """
    write_text(path, json.dumps(live.document()), within=path.parent)


def forget_live(path: Path) -> None:
    """Forget what an earlier run said, as another begins."""
    path.unlink(missing_ok=True)


def read_live(path: Path) -> Live | None:
    """What was last written; None where there is nothing, or what is no such file of ours.

    It is no record of anything: the next run writes it anew. So a damaged one, or one of an older clipsweep, is no
    error.
    """
    try:
        stored = json.loads(path.read_bytes())
        replicas = {key: tuple(_made(ReplicaLife, each) for each in stored[key]) for key in ("replicas", "lost")}
        return _made(Live, stored | replicas)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _made(kind: type[Value], stored: Mapping[str, Any]) -> Value:
    """A value of its stored fields; those of a newer clipsweep are passed over."""
    known = {field.name for field in fields(kind)}
    return kind(**{name: _timed(name, value) for name, value in stored.items() if name in known})


def _timed(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if name in TIMES and value is not None else value


def plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
