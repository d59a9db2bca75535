"""Whether a claim may be taken over: at once, or after its process was silent, by the clock of whoever watches it."""

from __future__ import annotations

import time

from clipsweep.orchestrator.claims.claims import Beat, Claim, Claims
from clipsweep.orchestrator.claims.process import Life
from clipsweep.orchestrator.words import Say
from clipsweep.trials.base.errors import StudyBusyError

LONGEST_STEP = 1.0  # of a watcher who was stopped himself: what he slept through he has not watched
SILENT_BEATS = 6  # that a process misses before its claim is taken over
FRESH_BEATS = 2  # of its own machine, by one clock
STATES = {
    Life.PAUSED: "which is stopped",
    Life.RUNS: "which has not said lately that it lives",
    Life.UNKNOWN: "of which it cannot be told from here whether it lives",
}


class Watch:
    """Watches the newest claim on a folder.

    Attributes:
        note: That the folder is taken over from a process that may live; None while it is not.
    """

    def __init__(self, claims: Claims, what: str, say: Say) -> None:
        """Nothing has been seen yet.

        Args:
            claims: On the folder.
            what: The folder, as messages name it.
            say: Shows the user what is waited for.
        """
        self._claims = claims
        self._what = what
        self._say = say
        self._number: int | None = None
        self._beat: Beat | None = None
        self._silent = self._looked_at = 0.0
        self.note: str | None = None

    def may_take(self, claim: Claim | None) -> bool:
        """Whether the folder may be claimed; to be asked again and again until it may.

        Raises:
            StudyBusyError: The process that holds it lives.
        """
        if claim is None or claim.released or claim.was_dropped:
            return True
        life = Life.UNKNOWN if claim.process is None else claim.process.life()
        if life is Life.ENDED:
            return True
        beat, grace = self._claims.beat(claim.number), SILENT_BEATS * claim.beat_seconds
        if claim.number != self._number:
            self._begin(claim, beat, life, grace)
            return False
        if beat is not None and (self._beat is None or beat.content != self._beat.content):
            raise busy(self._what, str(claim))
        now = time.monotonic()
        self._silent += min(now - self._looked_at, LONGEST_STEP)
        self._looked_at = now
        if self._silent < grace:
            return False
        self.note = f"{self._what} is taken over from {claim}: no sign of life from it for {grace:g} s"
        return True

    def _begin(self, claim: Claim, beat: Beat | None, life: Life, grace: float) -> None:
        """See a claim for the first time."""
        fresh = beat is not None and abs(beat.age_seconds) < FRESH_BEATS * claim.beat_seconds
        if life is Life.RUNS and fresh:  # of this machine, so its clock is this one
            raise busy(self._what, str(claim))
        self._number, self._beat = claim.number, beat
        self._silent, self._looked_at = 0.0, time.monotonic()
        state = STATES[life]
        self._say(f"{self._what} is held by {claim}, {state}; waiting for a sign of life, at most {grace:g} s …")


def busy(what: str, who: str) -> StudyBusyError:
    """The refusal of a folder that another process holds."""
    return StudyBusyError(f"{what} is being run by {who}. Wait for it, or watch it with 'clipsweep status {what}'.")
