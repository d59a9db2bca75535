"""The theory of a study's trials in one value: changes, correlations and reach."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from clipsweep.analysis.row.row import StoredRow, finite_of
from clipsweep.analysis.theory.changes import Changes, TrialChange, changes_of
from clipsweep.analysis.theory.clipped_matrices import ClippedMatrices
from clipsweep.analysis.theory.correlations import Predictions, correlate
from clipsweep.analysis.theory.notes import notes_of
from clipsweep.analysis.theory.quantities import QUANTITIES
from clipsweep.analysis.theory.reach import Reach, reach_of
from clipsweep.analysis.theory.verdict import headline, verdict


@dataclass(frozen=True, kw_only=True)
class Theory:
    """What the paper's theory says of a study's trials, and whether it predicts what they gain.

    Correlations and reach are worked out when they are first asked for.

    Attributes:
        study: Its name.
        metric: That its points are judged by; gains are told in accuracy all the same.
        changes: What each trial changed.
        combination: What stands for several clipped matrices: ``"max"``, ``"mean"`` or ``"min"``; None where singular
            values were not measured.
        so_far: That the study has not come to its end, in words; none where it has.
        searched: Whether results chose the points.
    """

    study: str
    metric: str
    changes: Changes
    combination: str | None = None
    so_far: tuple[str, ...] = ()
    searched: bool = False

    @cached_property
    def predictions(self) -> Predictions:
        """How well each quantity tells what trials gain."""
        return correlate(self.changes)

    @cached_property
    def reach(self) -> tuple[Reach, ...]:
        """How many blocks each clipped layer and module changes."""
        return reach_of(self.changes)

    @property
    def notes(self) -> list[str]:
        """What should be known beside the answer, a sentence each without its full stop."""
        has_spectra = self.combination is not None
        return list(
            notes_of(self.changes, self.metric, has_spectra=has_spectra, so_far=self.so_far, searched=self.searched)
        )

    def document(self) -> dict[str, Any]:
        """All of it as JSON has it: the document of ``clipsweep theory --json``; infinity is null."""
        changes, found = self.changes, self.predictions
        return {
            "study": self.study,
            "metric": self.metric,
            "so_far": list(self.so_far),
            "searched": self.searched,
            "headline": headline(found),
            "verdict": verdict(found),
            "notes": self.notes,
            "trials": len(changes.trials),
            "prompt_sets": [prompts._asdict() for prompts in changes.prompt_sets],
            "blocks": changes.n_blocks,
            "unmeasured": changes.unmeasured,
            "without_untouched": changes.alone,
            "without_demonstrations": changes.without_demonstrations,
            "in_small_sets": changes.in_small_sets,
            "cut_short": changes.cut_short,
            "module_condition": self.combination,
            "cost_share": changes.cost_share,
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
    matrices: ClippedMatrices | None = None,
) -> Theory:
    """The theory of stored rows.

    Args:
        rows: Latest attempt at each trial of one study, by trial identity.
        study: Its name.
        metric: That its points are judged by.
        untouched: Identities of the untouched model's trials; None for those whose clips leave everything as it is.
        matrices: What the singular values say of the clipped matrices; None where they were not measured.
    """
    return Theory(
        study=study,
        metric=metric,
        changes=changes_of(rows, matrices, untouched),
        combination=None if matrices is None else matrices.combination,
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
