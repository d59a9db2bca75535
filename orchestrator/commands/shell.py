"""What all commands share: the words of a refusal, exit codes, JSON on standard output, and common options.

Exit codes: 0 done, 1 the study failed or has failed trials, 2 bad input, 130 interrupted and resumable.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, NoReturn, ParamSpec

import typer
from rich.console import Console

from clipsweep.trials.base.errors import ClipsweepError, PoolError, StoreError
from clipsweep.trials.base.os_words import word_os_error

P = ParamSpec("P")
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a study, as 'clipsweep run' named it.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output.")]

errors = Console(stderr=True)


def refusing(command: Callable[P, None]) -> Callable[P, None]:
    """Turn our own errors into a message and an exit code; any other error is a defect and keeps its traceback."""

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ClipsweepError as error:
            fail(error, FAILED if isinstance(error, PoolError | StoreError) else BAD_INPUT)
        except BrokenPipeError:  # of 'clipsweep results DIR | head': who reads has seen enough
            _close_output()
        except OSError as error:  # a folder that cannot be written, a full disk
            fail(word_os_error(error), FAILED)

    return wrapped


def _close_output() -> NoReturn:
    """End without a word where nobody reads any more; Python would flush what is left, and complain, at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(FAILED)


def fail(error: Exception | str, code: int) -> NoReturn:
    """Say what is wrong and end with an exit code."""
    tell(f"error: {error}")
    raise typer.Exit(code)


def tell(message: str) -> None:
    """Print a message on standard error as it is: no markup, no wrapping."""
    errors.print(message, markup=False, highlight=False, soft_wrap=True)


def print_json(document: Any) -> None:
    """Print one JSON document on standard output."""
    sys.stdout.write(json.dumps(document, indent=1) + "\n")
