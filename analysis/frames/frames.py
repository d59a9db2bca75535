"""What figures are made from: the frames of one or several studies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from clipsweep.analysis.frames.point_frame import points_of_trials
from clipsweep.analysis.frames.theory_frame import theory_of_trials
from clipsweep.analysis.theory.theory import Theory

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The frames of one or several studies, those of trials and points made when they are first asked for.

    Attributes:
        make_trials: Gives the trial frame, a row per trial.
        make_points: Gives the point frame, a row per point.
        spectra: A row per matrix of the model; None where its singular values were not measured.
        published: The paper's own numbers, in the columns of the point frame; None unless they are asked for.
        make_theory: Gives what the paper's theory says; None where that follows from trials and spectra alone.
    """

    make_trials: Callable[[], pandas.DataFrame]
    make_points: Callable[[], pandas.DataFrame]
    spectra: pandas.DataFrame | None = None
    published: pandas.DataFrame | None = None
    make_theory: Callable[[], Theory | None] | None = None

    @classmethod
    def of_trials(
        cls,
        trials: pandas.DataFrame,
        *,
        spectra: pandas.DataFrame | None = None,
        published: pandas.DataFrame | None = None,
    ) -> Frames:
        """Frames that follow from trials alone."""
        return cls(
            make_trials=lambda: trials,
            make_points=lambda: points_of_trials(trials),
            spectra=spectra,
            published=published,
        )

    @cached_property
    def trials(self) -> pandas.DataFrame:
        """The latest attempt of each trial, a row each."""
        return self.make_trials()

    @cached_property
    def points(self) -> pandas.DataFrame:
        """Every point that has rows, a row each."""
        return self.make_points()

    @cached_property
    def theory(self) -> Theory | None:
        """What the paper's theory says of the one study; None of several, and where it was not measured."""
        if self.make_theory is not None:
            return self.make_theory()
        return theory_of_trials(self.trials, self.spectra)
