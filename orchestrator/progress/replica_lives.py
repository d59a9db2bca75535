"""Which replicas a run has, which it lost, and how fast each is."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from clipsweep.orchestrator.status.live import ReplicaLife
from clipsweep.trials.spec.result import TrialResult

LOOK_BACK = 16  # results of a replica that its rate is told from
LOST_SHOWN = 8


@dataclass(slots=True, kw_only=True)
class _Seen:
    """A replica, as far as it has been seen.

    Attributes:
        about: Its name, node and device.
        up_since: When it joined.
        rows: That it has seen.
        results: When its last results came, and the rows that it had seen by then.
    """

    about: Mapping[str, str]
    up_since: datetime
    rows: int = 0
    results: deque[tuple[datetime, int]] = field(default_factory=lambda: deque(maxlen=LOOK_BACK))

    def life(self, now: datetime, down_since: datetime | None = None) -> ReplicaLife:
        """The replica at a moment. Its rate falls while it gives no result."""
        since, before = (self.up_since, 0) if len(self.results) < LOOK_BACK else self.results[0]
        elapsed = max(1e-6, (now - since).total_seconds())
        return ReplicaLife(
            name=self.about["name"],
            node=self.about["node"],
            device=self.about["device"],
            up_since=self.up_since,
            down_since=down_since,
            rows=self.rows,
            rows_per_second=(self.rows - before) / elapsed if self.results else None,
            last_result_at=self.results[-1][0] if self.results else None,
        )


class ReplicaLives:
    """Hears which replicas there are, and what each sends."""

    def __init__(self) -> None:
        """There are none."""
        self._up: dict[str, _Seen] = {}
        self._lost: deque[ReplicaLife] = deque(maxlen=LOST_SHOWN)
        self.n_lost = 0

    def __len__(self) -> int:
        """How many are up."""
        return len(self._up)

    def see(self, replicas: Sequence[Mapping[str, str]], now: datetime) -> bool:
        """Hear which are up now; whether that has changed."""
        names = {replica["name"] for replica in replicas}
        gone = [name for name in self._up if name not in names]
        come = [replica for replica in replicas if replica["name"] not in self._up]
        for name in gone:
            self._lost.append(self._up.pop(name).life(now, down_since=now))
        self.n_lost += len(gone)
        for replica in come:
            self._up[replica["name"]] = _Seen(about=replica, up_since=now)
        return bool(gone or come)

    def count(self, results: Sequence[TrialResult], now: datetime) -> None:
        """Count the rows of results; those of a replica that is gone are nobody's any more."""
        for result in results:
            seen = self._up.get(result.replica)
            if seen is not None:
                seen.rows += result.n_examples
                seen.results.append((now, seen.rows))

    def up(self, now: datetime) -> tuple[ReplicaLife, ...]:
        """Those that are up."""
        return tuple(seen.life(now) for seen in self._up.values())

    def lost(self) -> tuple[ReplicaLife, ...]:
        """The last that were lost, the latest last."""
        return tuple(self._lost)
