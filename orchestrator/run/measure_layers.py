"""Measure what chooses a study's layers, and keep it in its folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from clipsweep.cluster.pool import Pool
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.run.measure_screens import measure_screens
from clipsweep.orchestrator.space.screen_rule import ScreenRule
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place

KEEP_SECONDS = 10.0


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
        _measure_spectra(opened, rule.missing(opened.spectrum.conditions()), pool, waits_for, stopped)
    return opened.choose_layers()


def _measure_spectra(
    opened: OpenStudy,
    missing: Sequence[Place],
    pool: Pool,
    waits_for: Callable[[str], None],
    stopped: Callable[[], bool],
) -> None:
    """Compute singular values of these places and keep them, every few seconds."""
    count, shapes = 0, opened.subject.card.shapes
    total = sum(shape.count for place in missing for shape in shapes[place])
    waits_for(f"the condition numbers of {total} matrices choose the layers; they are measured once …")
    waiting: list[MatrixSpectrum] = []
    kept_at = time.monotonic()
    for found in pool.spectrum(missing):
        waiting += found
        count += len(found)
        waits_for(f"{count}/{total} matrices measured, whose condition numbers choose the layers")
        if stopped():
            break
        if time.monotonic() - kept_at >= KEEP_SECONDS:
            _keep(opened, waiting)
            waiting, kept_at = [], time.monotonic()
    _keep(opened, waiting)


def _keep(opened: OpenStudy, spectra: Sequence[MatrixSpectrum]) -> None:
    """Add to the file, which whoever took the study over may have filled further."""
    opened.table.check()
    opened.spectrum.add(spectra)
