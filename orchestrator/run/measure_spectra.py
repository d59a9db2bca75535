"""Measure singular values of a study's matrices, and keep them in its folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from clipsweep.cluster.pool import Pool
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.run.keep_found import keep_found
from clipsweep.trials.clips.spectrum import MatrixSpectrum, Place


def measure_spectra(
    opened: OpenStudy,
    missing: Sequence[Place],
    start_pool: Callable[[], Pool],
    waits_for: Callable[[str], None],
    stopped: Callable[[], bool],
    *,
    what: str,
    why: str,
) -> None:
    """Compute singular values of some places and keep them, every few seconds.

    Args:
        opened: The study.
        missing: Layers and roles whose matrices are measured; of none nothing is started.
        start_pool: Gives the pool, with nothing in flight.
        waits_for: Shows the user what is waited for, at once where it ends in three dots.
        stopped: Whether to end early; asked every half second, in-process between matrices.
        what: What of the matrices is wanted, for the user: ``the condition numbers``.
        why: What that is for: ``choose the layers``.

    Raises:
        EvaluationError: A matrix has weights that are not finite; those measured before it are kept.
        PoolError: The replicas were lost; the same.
        TakenOverError: Another process holds the study.
    """
    if not missing:
        return
    pool, shapes = start_pool(), opened.subject.card.shapes
    total = sum(shape.count for place in missing for shape in shapes[place])
    waits_for(f"{what} of {total} matrices {why}; they are measured once …")

    def keep(spectra: Sequence[MatrixSpectrum]) -> None:
        """Add to the file, which whoever took the study over may have filled further."""
        opened.table.check()
        opened.spectrum.add(spectra)

    def tell(count: int) -> None:
        waits_for(f"{count}/{total} matrices measured: {what} {why}")

    keep_found(pool.spectrum(missing), keep, tell, stopped)
