"""Who holds a folder, for readers; nothing is written."""

from __future__ import annotations

from dataclasses import dataclass

from clipsweep.orchestrator.claims.claims import BEAT_SECONDS, Claims
from clipsweep.orchestrator.claims.process import Life
from clipsweep.orchestrator.claims.watch import SILENT_BEATS


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """The process that holds a folder, or held it and did not let go.

    Attributes:
        pid: Its number; None where that is not known.
        host: Name of its machine; None where that is not known.
        since: Since when, by that machine's clock; None where that is not known.
        alive: Whether it lives; None where that cannot be told from here, as on another machine.
        paused: Whether it lives, but is stopped (SIGSTOP).
        beat_age_seconds: How long ago it last said that it lives, by the reader's clock and the file's time; None
            where it has said nothing.
        beat_seconds: How often it says so.
    """

    pid: int | None
    host: str | None
    since: str | None
    alive: bool | None
    paused: bool = False
    beat_age_seconds: float | None = None
    beat_seconds: float = float(BEAT_SECONDS)

    @property
    def seems_alive(self) -> bool:
        """Whether it lives; where that cannot be told, whether it has said so lately, by clocks that may differ."""
        if self.alive is not None:
            return self.alive
        return self.beat_age_seconds is not None and self.beat_age_seconds < SILENT_BEATS * self.beat_seconds


def read_claim_holder(claims: Claims) -> Holder | None:
    """Who holds the folder of some claims; None where nobody does."""
    claim = claims.newest()
    if claim is None or claim.released:
        return None
    process, beat = claim.process, claims.beat(claim.number)
    life = Life.UNKNOWN if process is None else process.life()
    return Holder(
        pid=None if process is None else process.pid,
        host=None if process is None else process.host,
        since=claim.since,
        alive=None if life is Life.UNKNOWN else life is not Life.ENDED,
        paused=life is Life.PAUSED,
        beat_age_seconds=None if beat is None else beat.age_seconds,
        beat_seconds=claim.beat_seconds,
    )
