"""Numbered claims on a folder: files of which the highest number holds it."""

from __future__ import annotations

import errno
import json
import os
import re
import time
import uuid
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from clipsweep.orchestrator.claims.process import Process, this_process
from clipsweep.trials.base.errors import SpecError
from clipsweep.trials.base.files import make_folder, write_text

BEAT_SECONDS = "5"
LONGEST_BEAT = 3600
BEAT_VARIABLE = "CLIPSWEEP_BEAT_SECONDS"
NAME = re.compile(r"(\d{8})\.json")
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}  # of a file system

held_here: set[str] = set()  # keys of the claims that this process holds now


def beat_seconds() -> float:
    """How often a process that holds a folder says that it lives: ``$CLIPSWEEP_BEAT_SECONDS``, else every 5 s.

    Raises:
        SpecError: The variable holds no positive number.
    """
    text = os.environ.get(BEAT_VARIABLE) or BEAT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= LONGEST_BEAT:
        raise SpecError(
            f"{BEAT_VARIABLE} is {text!r}; expected a positive number of seconds, at most {LONGEST_BEAT}. "
            f"Set it, e.g. to 10, or unset it for {BEAT_SECONDS}."
        )
    return seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A process's claim on a folder.

    Attributes:
        number: The highest holds the folder.
        process: Which it is; None where the claim is damaged.
        since: When it was made, by the clock of that machine.
        beat_seconds: How often the process says that it lives.
        key: Tells it from every other claim; empty where the claim is damaged.
        released: Whether the process has let go of the folder.
    """

    number: int
    process: Process | None
    since: str
    beat_seconds: float
    key: str = ""
    released: bool = False

    @classmethod
    def new(cls, number: int) -> Claim:
        """A claim of this process."""
        since = datetime.now(UTC).isoformat(timespec="seconds")
        key = uuid.uuid4().hex
        return cls(number=number, process=this_process(), since=since, beat_seconds=beat_seconds(), key=key)

    @property
    def was_dropped(self) -> bool:
        """Whether this very process made it and holds it no more, as of a folder that was renamed meanwhile."""
        return self.process == this_process() and self.key not in held_here

    def __str__(self) -> str:
        """Who made it, and when, as messages say it."""
        return f"{self.process or 'a process that is not known'} since {self.since}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """What a process last said of its life.

    Attributes:
        content: Changes with each beat.
        age_seconds: How long ago that was, by the file's time and the reader's clock; those of machines differ.
    """

    content: tuple[bytes, int]
    age_seconds: float


class Claims:
    """The claims on one folder, in a folder of their own. The newest is never removed."""

    def __init__(self, folder: Path) -> None:
        """Nothing is made before the first claim.

        Args:
            folder: Of the claims.
        """
        self._folder = folder

    def newest(self) -> Claim | None:
        """The claim that holds the folder; None while there is none."""
        while True:
            number = self._highest()
            if number is None:
                return None
            claim = self._read(number)
            if claim is not None:  # else it was removed meanwhile, as there is a newer one
                return claim

    def make(self, claim: Claim) -> bool:
        """Make a claim. Of several processes that make one number, one succeeds.

        Returns:
            Whether it was made, and is the newest.
        """
        make_folder(self._folder)
        return self._create(claim) and self._highest() == claim.number

    def release(self, number: int) -> None:
        """Note that the process has let go, by an empty file, for which a full disk has room too.

        Where the claim is gone, folder and all, nothing is made anew.
        """
        if self._path(number).exists():
            self._released_path(number).touch()

    def newest_number(self) -> int | None:
        """The number of the newest claim, as it is on the server of a network's file system at this moment.

        A client that does not change a folder itself may believe for a minute that nobody else does. So this makes a
        name in it first, and removes it.

        Raises:
            OSError: The folder is gone, or the disk is full.
        """
        look = self._folder / f".look-{uuid.uuid4().hex}"
        try:
            os.close(os.open(look, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            look.unlink()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(self._folder)) from error
        return self._highest()

    def remove_below(self, number: int) -> None:
        """Remove older claims and their beats."""
        for name in os.listdir(self._folder):
            if re.match(r"\d{8}\.", name) and int(name[:8]) < number:
                (self._folder / name).unlink(missing_ok=True)

    def remove_all(self, own: int) -> None:
        """Remove a claim, its beat, what killed processes left, and the folder, unless it has been claimed since."""
        left = (*self._folder.glob(".draft-*"), *self._folder.glob(".look-*"))
        for path in (*left, self.beat_path(own), self._released_path(own), self._path(own)):
            path.unlink(missing_ok=True)
        try:
            self._folder.rmdir()
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT}:
                raise

    def beat_path(self, number: int) -> Path:
        """The file in which the process that made a claim says that it lives."""
        return self._folder / f"{number:08}.beat"

    def beat(self, number: int) -> Beat | None:
        """What it last said; None where it has not said anything."""
        try:
            # opened anew, so that the client of a network's file system asks its server
            with self.beat_path(number).open("rb") as opened:
                changed = os.fstat(opened.fileno()).st_mtime_ns
                return Beat(content=(opened.read(), changed), age_seconds=time.time() - changed / 1e9)
        except FileNotFoundError:
            return None

    def _highest(self) -> int | None:
        try:
            names = [NAME.fullmatch(name) for name in os.listdir(self._folder)]
        except (FileNotFoundError, NotADirectoryError):  # the latter where a file was given for a study's folder
            return None
        return max((int(name[1]) for name in names if name), default=None)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:08}.json"

    def _released_path(self, number: int) -> Path:
        return self._folder / f"{number:08}.released"

    def _read(self, number: int) -> Claim | None:
        """A claim; None where it is gone."""
        released = self._released_path(number).exists()
        try:
            return _claim_of(number, json.loads(self._path(number).read_bytes()), released)
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError, RecursionError):  # torn where there are no links
            return Claim(number=number, process=None, since="?", beat_seconds=float(BEAT_SECONDS), released=released)

    def _create(self, claim: Claim) -> bool:
        """Make a claim's file, which must not be there yet: by a link, which appears whole, on NFS too."""
        draft = self._folder / f".draft-{uuid.uuid4().hex}-{claim.number:08}.json"
        try:
            write_text(draft, _as_text(claim))
            os.link(draft, self._path(claim.number))
        except FileExistsError:
            return _links(draft) == 2  # the answer of a server got lost, and its client asked again
        except FileNotFoundError:  # the folder was removed by a run that never started
            return False
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            return self._create_alone(claim)
        finally:
            draft.unlink(missing_ok=True)
        return True

    def _create_alone(self, claim: Claim) -> bool:
        """Make a claim's file where the file system has no links."""
        try:
            with self._path(claim.number).open("x", encoding="utf-8") as made:
                made.write(_as_text(claim))
                made.flush()
                os.fsync(made.fileno())
        except FileExistsError:
            return False
        return True


def _claim_of(number: int, content: dict[str, Any], released: bool) -> Claim:
    """A claim as its file has it; other keys, of a later version, say nothing here."""
    process = {each.name: content["process"][each.name] for each in fields(Process)}
    seconds, pid = float(content["beat_seconds"]), int(process["pid"])
    if not (0 < seconds <= LONGEST_BEAT and 0 < pid < 2**31):
        raise ValueError("no process has such a number, or is silent for so long")
    return Claim(
        number=number,
        process=Process(**process | {"pid": pid}),
        since=str(content["since"]),
        key=str(content["key"]),
        beat_seconds=seconds,
        released=released,
    )


def _as_text(claim: Claim) -> str:
    """What a claim's file says; its number is in the name, and that it is released is in another file."""
    content = asdict(claim)
    return json.dumps({key: content[key] for key in ("process", "since", "beat_seconds", "key")})


def _links(path: Path) -> int:
    """How many names a file has."""
    try:
        return path.stat().st_nlink
    except FileNotFoundError:
        return 0
