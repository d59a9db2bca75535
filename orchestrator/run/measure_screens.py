"""Screen a study's points before the search begins, and keep what comes of it in its folder."""

from __future__ import annotations

import time
from collections.abc import Callable

from clipsweep.cluster.pool import Pool
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.words import format_seconds
from clipsweep.trials.base.errors import counted


def measure_screens(
    opened: OpenStudy, start_pool: Callable[[], Pool], waits_for: Callable[[str], None], stopped: Callable[[], bool]
) -> None:
    """Screen what is not in ``screen.parquet`` yet, one prompt set after the other on each replica.

    Each is kept as soon as it is there, so that a study that is stopped goes on from there.

    Args:
        opened: A study with its layers known, or chosen by its screens: then every candidate is screened.
        start_pool: Gives the pool, with nothing in flight; called where something is missing.
        waits_for: Shows the user what is waited for, at once where it ends in three dots.
        stopped: Whether to end early; asked every half second, in-process between prompt sets.

    Raises:
        EvaluationError: The model or its matrices cannot be screened.
        PoolError: The replicas were lost.
        TakenOverError: Another process holds the study.
    """
    missing = opened.missing_screens()
    if not missing:
        return
    pool, count, total = start_pool(), 0, counted(len(missing), "prompt set")
    began = time.monotonic()
    waits_for(f"one backward pass over {missing[0].rows} rows of {total} predicts what clips do …")
    for found in pool.screen(missing):
        if found:
            opened.table.check()
            opened.screen.add(found)
            count += len(found)
            waits_for(f"{count}/{total} screened")
        if stopped():
            return
    waits_for(f"{count}/{total} screened in {format_seconds(time.monotonic() - began)}; now trials can begin …")
