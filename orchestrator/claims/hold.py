"""Hold a folder: claim it, say again and again that this process lives, and let go."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from clipsweep.orchestrator.claims.claims import Claim, Claims, held_here
from clipsweep.orchestrator.claims.watch import Watch
from clipsweep.orchestrator.words import Say
from clipsweep.trials.base.errors import TakenOverError, WriteError

LOOK_SECONDS = 0.2
LONGEST_END = 2.0  # that the end of a run waits for a last beat, where a disk does not answer
log = logging.getLogger(__name__)


class Hold:
    """A folder that this process holds.

    Attributes:
        token: The number of its claim: higher than that of whoever held the folder before.
        note: That it was taken over from a process that may live; None where it was free.
    """

    def __init__(self, claims: Claims, token: int, what: str, note: str | None = None) -> None:
        """Take a claim that was made.

        Args:
            claims: On the folder.
            token: The claim's number.
            what: The folder, as messages name it.
            note: That it was taken over, and from whom.
        """
        self.token = token
        self.note = note
        self._claims = claims
        self._what = what

    def check(self) -> None:
        """See that nobody has taken the folder over.

        What this process had put in place before a check that passes is seen by whoever takes the folder over later, as
        he claims it first and looks at it then. To check before writing alone is no fence.

        Raises:
            TakenOverError: Somebody has.
            WriteError: The claims are gone.
        """
        try:
            newest = self._claims.newest_number()
        except FileNotFoundError:
            newest = None
        if newest == self.token:
            return
        if newest is None or newest < self.token:
            raise WriteError(
                f"{self._what} was removed, moved or emptied while it was run; this run stops. Look for the folder; "
                f"rows that are in it still count when the study is run again."
            )
        raise TakenOverError(
            f"{self._what} was taken over by {self._claims.newest()}; this run stops. "
            f"What it had stored until then counts."
        )


@contextmanager
def hold(claims: Claims, what: str, lowest: Callable[[], int], say: Say) -> Iterator[Hold]:
    """Hold a folder inside the block; waits where it is not known whether the process that holds it lives.

    Args:
        claims: On the folder.
        what: The folder, as messages name it.
        lowest: The highest number that files of the folder carry, whatever claims there are; the new one is above it.
        say: Shows the user what is waited for.

    Raises:
        StudyBusyError: Another process holds it, and lives.
    """
    watch = Watch(claims, what, say)
    claim = _make_claim(claims, watch, lowest)
    held_here.add(claim.key)
    try:
        with _beating(claims.beat_path(claim.number), claim.beat_seconds):
            claims.remove_below(claim.number)
            if watch.note is not None:
                say(watch.note)
            yield Hold(claims, claim.number, what, watch.note)
    finally:
        held_here.discard(claim.key)
        try:
            claims.release(claim.number)
        except OSError as error:  # the run itself has ended in order
            log.warning("%s could not be noted as free (%s); others may have to wait for it", what, error)


def _make_claim(claims: Claims, watch: Watch, lowest: Callable[[], int]) -> Claim:
    """Claim the folder, as soon as it may be claimed."""
    while True:
        number = lowest()  # before the claims are looked at: whoever writes files with a higher one has claimed it
        newest = claims.newest()
        if watch.may_take(newest):
            claim = Claim.new(max(number, newest.number if newest is not None else 0) + 1)
            if claims.make(claim):
                return claim
        time.sleep(LOOK_SECONDS)


@contextmanager
def _beating(path: Path, seconds: float) -> Iterator[None]:
    """Say again and again that this process lives, inside the block."""
    path.write_bytes(_count(0))
    ended = threading.Event()
    thread = threading.Thread(target=_go_on_beating, args=(path, seconds, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(LONGEST_END)


def _go_on_beating(path: Path, seconds: float, ended: threading.Event) -> None:
    """Change a beat again and again; it is never made anew where its folder was removed."""
    number = 0
    while not ended.wait(seconds):
        number += 1
        with suppress(OSError):  # a disk that refuses this refuses rows too, and then the run says so
            opened = os.open(path, os.O_WRONLY)
            try:
                os.write(opened, _count(number))
            finally:
                os.close(opened)


def _count(number: int) -> bytes:
    return b"%012d\n" % number
