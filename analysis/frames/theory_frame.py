"""What the paper's theory says of a trial frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clipsweep.analysis.frames.trial_frame import studies_in
from clipsweep.analysis.row.row import OF_BLOCKS
from clipsweep.analysis.theory.clipped_matrices import ClippedMatrices
from clipsweep.analysis.theory.theory import Theory, measure_theory

if TYPE_CHECKING:
    import pandas

OF_MATRICES = ("layer", "role", "singular_values", "condition_number", "stable_rank", "entry_snr")


def theory_of_trials(trials: pandas.DataFrame, spectra: pandas.DataFrame | None = None) -> Theory | None:
    """The theory of the one study in a frame.

    Args:
        trials: As ``trial_frame`` gives it.
        spectra: Singular values of its model, as ``spectra_frame`` has them; None where they were not measured.

    Returns:
        None of several studies, and where no trial was measured.
    """
    if not {*OF_BLOCKS} <= {*trials.columns} or not trials[list(OF_BLOCKS)].notna().any(axis=None):
        return None
    studies = list(studies_in(trials))
    if len(studies) > 1:
        return None
    ((rows, rules),) = studies
    matrices = None
    if spectra is not None:
        records = spectra[list(OF_MATRICES)].to_dict("records")
        matrices = ClippedMatrices(records, {(each["layer"], each["role"]) for each in records})
    return measure_theory(
        rows,
        study=str(trials["study"].iloc[0]),
        metric=rules.metric,
        matrices=matrices,
    )
