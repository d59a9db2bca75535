"""Errors of clipsweep: each says what was wrong, what was expected and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from clipsweep.trials.base.passwords import hide_password


class ClipsweepError(Exception):
    """Parent of every error that clipsweep raises on purpose. Its words hold no password of an address."""

    def __str__(self) -> str:
        """What is wrong, what was expected and how to mend it."""
        return hide_password(super().__str__())


class SpecError(ClipsweepError, ValueError):
    """A trial, clip or setting that cannot be."""


class ModelError(ClipsweepError, ValueError):
    """A checkpoint that is missing, unsupported or unsafe to load."""


class TaskError(ClipsweepError, ValueError):
    """Task data, label words or prompts that cannot be evaluated."""


class StudyError(ClipsweepError, ValueError):
    """A study file that is wrong, or that contradicts what its folder already holds."""


class PlaceError(ClipsweepError, OSError):
    """A folder or file that cannot be made or written."""


class StudyBusyError(ClipsweepError, RuntimeError):
    """Another process runs this study."""


class TakenOverError(StudyBusyError):
    """Another process has taken over the study that this one ran."""


class StoreError(ClipsweepError, OSError):
    """A file of a study's folder that is damaged, that belongs to something else, or that cannot be read."""


class WriteError(ClipsweepError, OSError):
    """What a running study cannot store: its disk is full or can only be read, or its folder went away."""


class DamagedFileError(StoreError):
    """A file of stored results that is torn, or that holds none of ours: moving it away is the mend."""


class PoolError(ClipsweepError, RuntimeError):
    """The replicas asked for cannot be had, or all of them were lost."""


class NotStartedError(PoolError):
    """A Ray of our own that does not start."""


class NoMemoryError(PoolError):
    """A replica that finds too little memory to load its model."""


class NoClusterError(PoolError):
    """No Ray cluster answers at the address that was given."""


class EvaluationError(ClipsweepError, ArithmeticError):
    """A trial whose weights, activations or scores are not finite, or that does not fit in memory."""


def first_line(error: BaseException) -> str:
    """What a library says of an error, its first line without the final stop; the name of its type where it is mute."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip().rstrip(".")


def last_line(error: Exception) -> str:
    """The last line of an error's text, or its type's name where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1].strip()


def in_one_line(error: Exception, length: int = 300) -> str:
    """Type and words of a library's error in one line, so much of it; some go on for pages."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:length]


def counted(number: float, name: str) -> str:
    """A number with its noun, for messages: ``1 replica``, ``2 replicas``, ``1,000 rows``."""
    amount = f"{int(number):,}" if number == int(number) else f"{number:g}"
    return f"{amount} {name}" if number == 1 else f"{amount} {name}s"


def either_mend(mends: Sequence[str]) -> str:
    """What helps, one or the other, as a sentence, like ``Lower it, or give more rows.`` is."""
    said = ", or ".join(mends)
    return f"{said[:1].upper()}{said[1:]}."


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Word the refusal of a name: ``no driver 'bayse'; known: … . Did you mean 'bayes'?``."""
    names = sorted(known)
    text = f"no {kind} {name!r}; known: {', '.join(names)}."
    close = difflib.get_close_matches(name, names, n=1)
    return f"{text} Did you mean {close[0]!r}?" if close else text
