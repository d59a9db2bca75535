"""The theory of a study's trials in one value: changes, correlations and reach."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from clipsweep.analysis.row.row import Record, StoredRow, finite_of
from clipsweep.analysis.theory.changes import Changes, TrialChange, changes_of
from clipsweep.analysis.theory.clipped_matrices import ClippedMatrices
from clipsweep.analysis.theory.correlations import Predictions, correlate
from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.analysis.theory.reach import Reach, reach_of
from clipsweep.trials.clips.spectrum import Place


@dataclass(frozen=True, kw_only=True)
class Theory:
    """What the paper's theory says of a study's trials, and whether it predicts what they gain.

    Correlations and reach are worked out when they are first asked for.

    Attributes:
        study: Its name.
        metric: That its points are judged by; gains are told in accuracy all the same.
        changes: What each trial changed.
        combination: What stands for several clipped matrices: ``"max"``, ``"mean"`` or ``"min"``.
        has_spectra: Whether singular values were measured.
        so_far: That the study has not come to its end, in words; none where it has.
    """

    study: str
    metric: str
    changes: Changes
    combination: str = "max"
    has_spectra: bool = True
    so_far: tuple[str, ...] = ()

    @cached_property
    def predictions(self) -> Predictions:
        """How well each quantity tells what trials gain."""
        return correlate(self.changes)

    @cached_property
    def reach(self) -> tuple[Reach, ...]:
        """How many blocks each clipped layer and module changes."""
        return reach_of(self.changes)

    @property
    def cost_share(self) -> float | None:
        """Share of the measured trials' wall time that measuring took; None where there is none."""
        return self.changes.theory_seconds / self.changes.seconds if self.changes.seconds else None

    def document(self) -> dict[str, Any]:
        """All of it as JSON has it: the document of ``clipsweep theory --json``; infinity is null."""
        changes, found = self.changes, self.predictions
        return {
            "study": self.study,
            "metric": self.metric,
            "trials": len(changes.trials),
            "prompt_sets": [prompts._asdict() for prompts in changes.prompt_sets],
            "blocks": changes.n_blocks,
            "unmeasured": changes.unmeasured,
            "without_untouched": changes.alone,
            "module_condition": self.combination,
            "cost_share": self.cost_share,
            "quantities": {name: each.means for name, each in QUANTITIES.items()},
            "correlations": [asdict(each) for each in found.correlations],
            "against_simplest": found.against_simplest and asdict(found.against_simplest),
            "against_spectrum": found.against_spectrum and asdict(found.against_spectrum),
            "reach": [asdict(each) | {"sizes": finite_of(each.sizes)} for each in self.reach],
            "changes": [_change_document(each) for each in changes.trials],
        }


def measure_theory(
    rows: Mapping[str, StoredRow],
    *,
    study: str,
    metric: str,
    untouched: Collection[str] | None = None,
    spectra: Iterable[Record] | None = None,
    places: Collection[Place] = (),
    combination: str = "max",
) -> Theory:
    """The theory of stored rows.

    Args:
        rows: Latest attempt at each trial of one study, by trial identity.
        study: Its name.
        metric: That its points are judged by.
        untouched: Identities of the untouched model's trials; None for those whose clips leave everything as it is.
        spectra: Rows of the spectrum file of its model, as plain values; None where nothing was measured.
        places: Every layer and role at which the model has matrices.
        combination: What stands for several clipped matrices: a key of ``COMBINATIONS``.
    """
    matrices = None if spectra is None else ClippedMatrices(spectra, places, combination)
    return Theory(
        study=study,
        metric=metric,
        changes=changes_of(rows, matrices, untouched),
        combination=combination,
        has_spectra=matrices is not None,
    )


def _change_document(change: TrialChange) -> dict[str, Any]:
    return {
        "trial_id": change.trial_id,
        **change.prompts._asdict(),
        "clips": [asdict(clip) for clip in change.clips],
        "n_examples": change.n_examples,
        "gain": change.gain,
        "margin": change.margin,
        **{f"change_of_log_{name}": finite_of(logs) for name, logs in change.logs.items()},
        **dict(zip(change.quantities, finite_of(list(change.quantities.values())) or [], strict=True)),
    }
