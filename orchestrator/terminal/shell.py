"""What all commands share: the words of a refusal, exit codes, JSON on standard output, and common options.

Exit codes: 0 done, 1 the study failed or has failed trials, 2 bad input, 130 interrupted and resumable.
"""

from __future__ import annotations

import errno
import io
import json
import logging
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec, TextIO

import typer
from rich.console import Console

from clipsweep.orchestrator.run.interrupt import INTERRUPTED, begin_command, end_command
from clipsweep.orchestrator.words import print_line
from clipsweep.trials.base.errors import (
    ClipsweepError,
    NoClusterError,
    PoolError,
    SpecError,
    TakenOverError,
    WriteError,
)
from clipsweep.trials.base.os_words import word_os_error
from clipsweep.trials.base.passwords import hide_password

P = ParamSpec("P")
FAILED, BAD_INPUT = 1, 2
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EIO}  # whatever was asked for, it was no bad input

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study, as 'clipsweep run' named it.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors and the answer alone.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Also what libraries log, and each trial.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]


def whole_number(smallest: int, help_text: str) -> Any:
    """An option that takes a whole number; typer's own refusals of numbers speak as libraries do."""

    def read(text: str) -> int:
        if not str(text).isdecimal() or int(text) < smallest:
            raise typer.BadParameter(f"{text!r}; expected a whole number of {smallest} or more.")
        return int(text)

    return typer.Option(parser=read, metavar="N", help=help_text)


errors = Console(stderr=True)
notes = Console(stderr=True)  # all that is neither the answer nor an error


def is_quiet() -> bool:
    """Whether errors and the answer alone are said."""
    return notes.quiet


def change_volume(*, quiet: bool, verbose: bool) -> None:
    """Take options that stand after a command; those before it hold too.

    Raises:
        SpecError: They contradict each other.
    """
    loud = any(isinstance(handler, _Loud) for handler in logging.getLogger().handlers)
    set_volume(quiet=quiet or is_quiet(), verbose=verbose or loud)


def set_volume(*, quiet: bool, verbose: bool) -> None:
    """Say errors and the answer alone, or also what libraries log and each trial.

    Raises:
        SpecError: Both are asked for.
    """
    if quiet and verbose:
        raise SpecError("--quiet and --verbose contradict each other; give one of the two.")
    notes.quiet = quiet
    root = logging.getLogger()
    root.handlers = [handler for handler in root.handlers if not isinstance(handler, _Loud)]
    if verbose:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "info")
        root.addHandler(_Loud())
        root.setLevel(logging.INFO)


class _Discreet(logging.Formatter):
    """Hides passwords that libraries log."""

    def format(self, record: logging.LogRecord) -> str:
        return hide_password(super().format(record))


class _Loud(logging.StreamHandler[TextIO]):
    """Shows what is logged from INFO upwards; our warnings are shown without it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_Discreet("%(asctime)s %(name)s: %(message)s", "%H:%M:%S"))
        self.addFilter(lambda record: record.levelno < logging.WARNING or not record.name.startswith("clipsweep"))


def prepare_output() -> None:
    """Let a terminal that knows few characters show others as question marks, where Python would refuse to write."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.encoding.lower().replace("-", "") != "utf8":
            stream.reconfigure(errors="replace")


def refusing(command: Callable[P, None]) -> Callable[P, None]:
    """Turn our own errors into a message and an exit code; any other error is a defect and keeps its traceback."""
    return _refusing(command, BAD_INPUT)


def refusing_run(command: Callable[P, None]) -> Callable[P, None]:
    """The same for what runs a study: where the operating system refuses something, it is not bad input any more."""
    return _refusing(command, FAILED)


def _refusing(command: Callable[P, None], of_system: int) -> Callable[P, None]:

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        begin_command()
        try:
            command(*args, **kwargs)
            sys.stdout.flush()  # here, where a reader that has gone away is heard of
        except ClipsweepError as error:
            fail(error, _code_of(error))
        except BrokenPipeError:  # of 'clipsweep results DIR | head': who reads has seen enough
            _close_output()
        except OSError as error:
            fail(word_os_error(error), FAILED if error.errno in FULL else of_system)
        except KeyboardInterrupt:
            tell_error("interrupted")
            raise typer.Exit(INTERRUPTED) from None
        finally:
            end_command()

    return wrapped


def _code_of(error: ClipsweepError) -> int:
    """An address where there is no cluster is bad input, unlike replicas that cannot be had there.

    So is a damaged file, unlike a disk that does not give it.
    """
    failed = isinstance(error, PoolError | TakenOverError | WriteError) and not isinstance(error, NoClusterError)
    no_answer = isinstance(error.__cause__, OSError) and error.__cause__.errno in FULL
    return FAILED if failed or no_answer else BAD_INPUT


def _close_output() -> NoReturn:
    """End without a word where nobody reads any more; Python would flush what is left, and complain, at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(FAILED)


def fail(error: Exception | str, code: int) -> NoReturn:
    """Say what is wrong and end with an exit code."""
    tell_error(f"error: {error}")
    raise typer.Exit(code)


def tell(message: str) -> None:
    """Print a note on standard error as it is, no markup, no wrapping; nothing with ``--quiet``."""
    print_line(notes, message)


def tell_error(message: str) -> None:
    """Print what went wrong, or was cut short, whatever the volume."""
    print_line(errors, hide_password(message))


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
