"""Studies beside the paper's published numbers: gain beside gain, as models and rows are others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from clipsweep.analysis.compare.curves import CurvePair, Published, pair_curves
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.compare.tested import TestedPair, pair_tests
from clipsweep.trials.spec.trial import TEST, VALIDATION


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the gains of a study go with those of one of the paper's models.

    Attributes:
        study: Name of the study.
        model: The paper's.
        points: Compared; those at rate 0 do not count.
        alike: Of which both gain, or both lose.
        opposite: Of which one gains and one loses; in all others one of the two, or both, stay as they were.
        correlation: Pearson's, of the gains; None where one of the two does not vary.
    """

    study: str
    model: str
    points: int
    alike: int
    opposite: int
    correlation: float | None


@dataclass(frozen=True, kw_only=True)
class BesidePaper:
    """Studies beside the paper.

    Attributes:
        sides: The studies.
        published: Rows of the published numbers.
    """

    sides: Sequence[Side]
    published: Sequence[Published]

    @cached_property
    def curves(self) -> list[CurvePair]:
        """Curves at whose layer, module and rates a study has points.

        The winner's first, then those with the gain that is least likely chance.
        """
        found = [curve for side in self.sides for curve in pair_curves(side, self._of(side, VALIDATION))]
        return sorted(found, key=lambda each: (not each.won, -max(rate.difference.weight for rate in each.rates)))

    @cached_property
    def tests(self) -> list[TestedPair]:
        """The paper's test scores of each study's task, beside the study's winner of the same module."""
        return [test for side in self.sides for test in pair_tests(side, self._of(side, TEST))]

    @cached_property
    def agreements(self) -> list[Agreement]:
        """For each study and each of the paper's models."""
        keys = dict.fromkeys((curve.site.study, curve.site.model) for curve in self.curves)
        return [self._agreement(*key) for key in keys]

    def _of(self, side: Side, split: str) -> list[Published]:
        return [row for row in self.published if row["task"] == side.task and row["split"] == split]

    def _agreement(self, study: str, model: str) -> Agreement:
        curves = [curve for curve in self.curves if (curve.site.study, curve.site.model) == (study, model)]
        rates = [rate for curve in curves for rate in curve.rates if rate.clip_rate]
        theirs = np.array([rate.published_gain for rate in rates])
        ours = np.array([rate.difference.estimate for rate in rates])
        varies = len(rates) > 1 and theirs.std() > 0 and ours.std() > 0
        return Agreement(
            study=study,
            model=model,
            points=len(rates),
            alike=int((theirs * ours > 0).sum()),
            opposite=int((theirs * ours < 0).sum()),
            correlation=float(np.corrcoef(theirs, ours)[0, 1]) if varies else None,
        )

    def document(self) -> dict[str, Any]:
        """The document of ``clipsweep compare --published --json``."""
        return {
            "studies": [{"name": side.name, "dir": side.dir} for side in self.sides],
            "agreement": [asdict(each) for each in self.agreements],
            "curves": [each.document() for each in self.curves],
            "tests": [each.document() for each in self.tests],
        }
