"""What went wrong in a task of the harness, in words: which key of its YAML file, and what its data has."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipsweep.trials.base.errors import in_one_line

TEMPLATES = ("doc_to_text", "doc_to_target", "doc_to_choice")  # keys of the YAML file, and the harness's own methods


class Heard(logging.Handler):
    """Hears what a library logs, which is not shown then where nobody else listens; the last of it is kept."""

    def __init__(self) -> None:
        """Nothing has been said yet."""
        super().__init__(logging.WARNING)
        self.last: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.last = record.getMessage()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """Where a task of the harness failed.

    Attributes:
        config: The keys of its YAML file, functions resolved.
        named: Splits that it names, by the key that does.
        splits: Those that its data has; none where that was not read.
        columns: Of its documents; none where they were not read.
        running: Methods of the task that were running, the outermost first.
    """

    config: Mapping[str, Any]
    named: Mapping[str, str]
    splits: Sequence[str]
    columns: Sequence[str]
    running: Sequence[str]


def cause_of(error: Exception, failed: Failed | None, heard: str | None) -> str:
    """What completes a refusal: the cause, and the mend.

    Args:
        error: What the harness raised.
        failed: Where; None where no task was there yet.
        heard: The last that it logged; None where it was mute.
    """
    if isinstance(error, OSError):
        return (
            f" ({in_one_line(error)}). Check the path of its data, from {Path.cwd()}, or the network and "
            f"HF_HUB_OFFLINE."
        )
    told = None if failed is None else _told(error, failed)
    if told is not None:
        return told
    said = "" if heard is None else f"; the harness says: {heard.rstrip('.')}"
    return f" ({in_one_line(error)}{said}). Mend its YAML file or its data."


def _told(error: Exception, failed: Failed) -> str | None:
    """The key that is wrong, and what there is; None where it cannot be told."""
    missing = [key for key, split in failed.named.items() if split not in failed.splits]
    if isinstance(error, KeyError) and failed.splits and missing:
        return (
            f": {missing[0]} is {failed.named[missing[0]]!r}, but its data has no such split; expected one of "
            f"{', '.join(map(repr, failed.splits))}. Mend the key in its YAML file."
        )
    key = next((name for name in reversed(failed.running) if name in TEMPLATES), None)
    if key is None:
        return None
    has = f"; its documents have the columns {', '.join(failed.columns)}" if failed.columns else ""
    return (
        f": {key} is {shown(failed.config[key])}, which does not fit a document ({in_one_line(error)}){has}. "
        f"Mend the key in its YAML file, or its data."
    )


def shown(value: Any) -> str:
    """The value of a key, for messages."""
    return f"the function {value.__name__}" if inspect.isfunction(value) else repr(value)
