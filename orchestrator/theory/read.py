"""The theory of a study's trials, from its folder; what is lacking is said before anything is worked out."""

from __future__ import annotations

from dataclasses import replace

from clipsweep.analysis.theory.changes import Changes
from clipsweep.analysis.theory.clipped_matrices import ClippedMatrices
from clipsweep.analysis.theory.quantities import LEAST_TRIALS
from clipsweep.analysis.theory.theory import Theory, measure_theory
from clipsweep.orchestrator.folder.snapshot import Snapshot
from clipsweep.orchestrator.status.answer import so_far
from clipsweep.trials.base.errors import StudyError, counted

MEASURED_LATER = "Their demonstrations alone are read once more for it: nothing is scored again."


def theory_of(snapshot: Snapshot) -> Theory:
    """What a study's stored trials say of the theory.

    Raises:
        StudyError: The study did not ask for it, or too few trials were measured.
        StoreError: ``spectrum.parquet`` cannot be read.
    """
    theory = theory_so_far(snapshot)
    _check(snapshot, theory.changes)
    return theory


def theory_so_far(snapshot: Snapshot) -> Theory:
    """The same, however little there is.

    Raises:
        StoreError: ``spectrum.parquet`` cannot be read.
    """
    opened = snapshot.opened
    spectra = opened.spectrum.read()
    theory = measure_theory(
        snapshot.rows,
        study=opened.study.name,
        metric=opened.space.metric,
        untouched=opened.baselines(snapshot.rows),
        matrices=ClippedMatrices(spectra.to_pylist(), opened.subject.card.shapes, opened.study.search.module_condition)
        if spectra.num_rows
        else None,
    )
    return replace(theory, so_far=tuple(so_far(snapshot)), searched=opened.is_searched)


def _check(snapshot: Snapshot, changes: Changes) -> None:
    """Refuse a study that has nothing to tell."""
    where, told = snapshot.opened.folder, len(changes.trials)
    if told - changes.in_small_sets >= LEAST_TRIALS:
        return
    n_left = len(snapshot.opened.unmeasured(snapshot.rows))
    if changes.measured == 0 and n_left == 0:
        raise StudyError(
            f"{where} has no trial that the theory says anything of; expected clipped trials of a task with answers, "
            f"with demonstrations that all rows share, in prompts that are not read whole. Run a study with some."
        )
    left = f"{counted(n_left, 'stored trial')} can be measured. {MEASURED_LATER}"
    if changes.measured == 0 and not snapshot.opened.study.theory:
        raise StudyError(
            f"{where} did not ask for what the theory measures; expected 'theory: true' in its study file. Run it "
            f"again with it: clipsweep run STUDY --set theory=true. {left}"
        )
    if changes.measured == 0 and changes.unmeasured:
        raise StudyError(
            f"{where} has {counted(changes.unmeasured, 'clipped trial')} and none was measured yet. Run the study "
            f"again: {left}"
        )
    if changes.alone:
        raise StudyError(
            f"{where} has {counted(changes.alone, 'measured trial')} without an untouched row of the same prompts that "
            f"was measured too; expected one for each number of shots and demonstration seed. Run the study again: "
            f"{left}"
        )
    raise StudyError(
        f"{where} has {counted(told, 'measured clipped trial')} on {counted(len(changes.prompt_sets), 'prompt set')}; "
        f"expected {LEAST_TRIALS} or more on one of them, to tell a rank correlation. Add layers or clip rates, or let "
        f"the study come to its end."
    )
