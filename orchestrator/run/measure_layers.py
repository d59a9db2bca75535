"""Measure what chooses a study's layers, and keep it in its folder."""

from __future__ import annotations

from collections.abc import Callable

from clipsweep.cluster.pool import Pool
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.run.measure_screens import measure_screens
from clipsweep.orchestrator.run.measure_spectra import measure_spectra
from clipsweep.orchestrator.space.screen_rule import ScreenRule


def measure_layers(
    opened: OpenStudy, pool: Pool, waits_for: Callable[[str], None], stopped: Callable[[], bool]
) -> OpenStudy:
    """Compute what is not in ``spectrum.parquet`` or ``screen.parquet`` yet, and choose the study's layers by it.

    What has been computed is kept every few seconds, so that a study that is stopped goes on from there.

    Args:
        opened: A study whose layers a rule chooses.
        pool: With nothing in flight.
        waits_for: Shows the user what is waited for, at once where it ends in three dots.
        stopped: Whether to end early; asked every half second, in-process between matrices.

    Returns:
        The study with its layers, unless it was stopped.

    Raises:
        EvaluationError: A matrix has weights that are not finite, or the model or its matrices cannot be screened.
        PoolError: The replicas were lost.
        TakenOverError: Another process holds the study.
    """
    assert opened.pending is not None, "layers that are known are not chosen"
    rule = opened.pending.rule
    if isinstance(rule, ScreenRule):
        measure_screens(opened, lambda: pool, waits_for, stopped)
    else:
        missing = rule.missing(opened.spectrum.conditions())
        measure_spectra(
            opened, missing, lambda: pool, waits_for, stopped, what="the condition numbers", why="choose the layers"
        )
    return opened.choose_layers()
