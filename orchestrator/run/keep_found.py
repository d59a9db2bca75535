"""Take answers from the pool as they come, and keep them every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from clipsweep.trials.base.errors import EvaluationError

KEEP_SECONDS = 10.0
Found = TypeVar("Found")


def keep_found(
    answers: Iterable[Sequence[Found]],
    keep: Callable[[Sequence[Found]], None],
    tell: Callable[[int], None],
    stopped: Callable[[], bool],
) -> None:
    """Keep what comes, every few seconds and at the end, so that a run that is killed loses little.

    Args:
        answers: As a pool gives them; some are empty.
        keep: Puts answers on disk.
        tell: Hears how many have come by now.
        stopped: Whether to end early; asked after every answer.

    Raises:
        EvaluationError: As the answers do; those that came before it are kept.
    """
    waiting: list[Found] = []
    count, kept_at = 0, time.monotonic()
    try:
        for found in answers:
            waiting += found
            count += len(found)
            tell(count)
            if stopped():
                break
            if time.monotonic() - kept_at >= KEEP_SECONDS:
                keep(waiting)
                waiting, kept_at = [], time.monotonic()
    except EvaluationError:
        keep(waiting)
        raise
    keep(waiting)
