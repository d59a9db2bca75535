"""Layers that a screen chooses: for ``layers: {top_screen: share}`` and ``layers: {top_gradient: k}``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from clipsweep.analysis.screens.prediction import Prediction
from clipsweep.analysis.screens.screens import Screens
from clipsweep.orchestrator.space.layer_rule import LayerRule
from clipsweep.trials.screen.screened import ScreenRequest
from clipsweep.trials.spec.clip import Clip


@dataclass(frozen=True, kw_only=True)
class ScreenRule(LayerRule[Screens]):
    """The layers where clips are predicted to do the most.

    Attributes:
        requests: What is screened: every clip of every candidate, on each of the study's prompt sets.
        by_gain: Whether a layer is worth its best gain, over the clip rates, of the mean over demonstration seeds; of
            several numbers of shots the mean, as one that gains a lot would else choose for all. Otherwise it is worth
            the size of its clips' changes of the margin, the mean over rates, seeds and shots.
        words: Which layers are kept, as the report tells it.
    """

    requests: Sequence[ScreenRequest]
    by_gain: bool
    words: str

    def missing(self, screens: Screens) -> list[ScreenRequest]:
        """Those of ``requests`` that have not been screened."""
        return [each for each in self.requests if not screens.holds(each)]

    def is_measured(self, measured: Screens) -> bool:
        """Whether nothing is missing."""
        return not self.missing(measured)

    def values(self, measured: Screens, module: str) -> dict[int, float]:
        """What clips are predicted to do to a module in each candidate layer; all must have been screened."""
        return {layer: self._value(measured, self._clips(layer, module)) for layer in self.candidates[module]}

    def describe(self) -> str:
        """Which layers, and by what."""
        return f"of each module {self.words} (a screen of {self.requests[0].rows} rows)"

    def _clips(self, layer: int, module: str) -> list[Clip]:
        return [clip for clip in self.requests[0].clips if (clip.layer, clip.module) == (layer, module)]

    def _value(self, screens: Screens, clips: Sequence[Clip]) -> float:
        by_shots = [[_predict(screens, same, clip) for clip in clips] for same in self._by_shots()]
        if self.by_gain:
            return fmean(max(each.gain for each in predicted) for predicted in by_shots)
        return fmean(each.margin_size for predicted in by_shots for each in predicted)

    def _by_shots(self) -> list[list[ScreenRequest]]:
        """The requests of each number of shots, which follow each other."""
        return [list(same) for _, same in groupby(self.requests, key=lambda each: each.prompt_set.shots)]


def _predict(screens: Screens, requests: Sequence[ScreenRequest], clip: Clip) -> Prediction:
    found = screens.predict_mean([each.prompt_set for each in requests], [clip])
    assert found is not None, "all that was requested has been screened"
    return found
