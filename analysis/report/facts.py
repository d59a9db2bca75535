"""What the report says about a study besides its results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipsweep.analysis.compare.step_gain import StepGain
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.screens.screens import Screens
from clipsweep.analysis.theory.theory import Theory
from clipsweep.analysis.winners.turned import Flips

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFacts:
    """What the report says about the study besides its results.

    Attributes:
        study: Name.
        subject: Model and task, in a line.
        facts: Label and value, in the order shown.
        spectra: Singular values of the model, as ``spectra_frame`` has them; None where they were not measured.
        screens: What a screen predicted of the points; None where there was none.
        theory: What the paper's theory says of the trials; None where the study did not ask, or has too few trials.
        no_theory: Why a study that asked has nothing to tell yet; empty where it has, or did not ask.
        two_objectives: Whether the Pareto front of score and parameters kept is what the study is after.
        points_total: Points that it has in all; None where a search chooses them.
        trials: How many trials the points have by now, in words.
        failed: Latest attempts of those of them that failed.
        notes: What should be known beside the answer.
        steps: Of a composition, those that have ended.
        keeps: What the winner keeps of the model, in words: its parameters, and the rank of each clip.
        apply: The command that writes the winner as a checkpoint; None where that is the untouched model.
        flips: The examples that the winner turns; None where they cannot be shown.
        no_flips: Why they cannot be shown.
        warnings: What went wrong besides failed trials.
    """

    study: str
    facts: Mapping[str, str]
    subject: str = ""
    spectra: pandas.DataFrame | None = None
    screens: Screens | None = None
    theory: Theory | None = None
    no_theory: str = ""
    two_objectives: bool = False
    points_total: int | None = None
    trials: str = ""
    failed: Sequence[StoredRow] = ()
    notes: Sequence[str] = ()
    steps: Sequence[StepGain] = ()
    keeps: Sequence[str] = ()
    apply: str | None = None
    flips: Flips | None = None
    no_flips: str = ""
    warnings: Sequence[str] = ()
