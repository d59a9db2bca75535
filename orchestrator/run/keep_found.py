"""Take answers from the pool as they come, and keep them every few seconds."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from clipsweep.trials.base.errors import ClipsweepError

KEEP_SECONDS = 10.0
SECONDS_PER_WRITING = 9.0  # so that of a large file at most a tenth of the time is writing
Found = TypeVar("Found")


def keep_found(
    answers: Iterable[Sequence[Found]],
    keep: Callable[[Sequence[Found]], None],
    tell: Callable[[int], None],
    stopped: Callable[[], bool],
) -> None:
    """Keep what comes, every few seconds and at the end, so that a run that is killed loses little.

    Where keeping takes long, as that of a large file, it is done less often.

    Args:
        answers: As a pool gives them; some are empty.
        keep: Puts answers on disk.
        tell: Hears how many have come by now.
        stopped: Whether to end early; asked after every answer.

    Raises:
        ClipsweepError: As the answers do, those that came before it being kept; or as ``keep`` and ``stopped`` do.
    """
    waiting: list[Found] = []
    count, kept_at, pause = 0, time.monotonic(), KEEP_SECONDS
    coming = iter(answers)
    while True:
        try:
            found = next(coming, None)
        except ClipsweepError:
            keep(waiting)
            raise
        if found is None:
            break
        waiting += found
        count += len(found)
        tell(count)
        if stopped():
            break
        now = time.monotonic()
        if now - kept_at >= pause:
            keep(waiting)
            waiting, kept_at = [], time.monotonic()
            pause = max(KEEP_SECONDS, SECONDS_PER_WRITING * (kept_at - now))
    keep(waiting)
