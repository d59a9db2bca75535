"""What the screens of a study say of its points."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from clipsweep.analysis.screens.prediction import Prediction, average, predict
from clipsweep.trials.screen.screened import FORMULA_NAME, Screened, ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.trial import PromptSet

Curve = tuple[list[float], list[NDArray[np.float64]]]  # rates, ascending from 0, and the changes of each


class Screens:
    """Predictions for any clips at the places that were screened, on the prompt sets that were."""

    def __init__(self, screened: Iterable[Screened]) -> None:
        """Take what was screened; the last of a prompt set counts."""
        self._screened = {_key(each.request.prompt_set): each for each in screened}
        self._curves = {key: _curves(each) for key, each in self._screened.items()}

    def __len__(self) -> int:
        """Prompt sets that were screened."""
        return len(self._screened)

    def holds(self, request: ScreenRequest) -> bool:
        """Whether all of this has been screened, on as many rows and by today's formula."""
        screened = self._screened.get(_key(request.prompt_set))
        if screened is None or screened.formula != FORMULA_NAME or screened.request.rows != request.rows:
            return False
        return set(request.clips) <= set(screened.request.clips)

    def predict(self, prompt_set: PromptSet, clips: Sequence[Clip]) -> Prediction | None:
        """What clips do together on one prompt set; None where that, or the place of one of them, was not screened.

        Between screened rates the changes are interpolated linearly.
        """
        key = _key(prompt_set)
        if key not in self._screened:
            return None
        changes = [self._change(key, clip) for clip in clips]
        found = [each for each in changes if each is not None]
        return predict(self._screened[key], found) if len(found) == len(changes) else None

    def predict_mean(self, prompt_sets: Sequence[PromptSet], clips: Sequence[Clip]) -> Prediction | None:
        """The mean of what clips do on several prompt sets; None where any of them is not known."""
        found = [each for each in (self.predict(prompt_set, clips) for prompt_set in prompt_sets) if each is not None]
        return average(found) if found and len(found) == len(prompt_sets) else None

    def _change(self, key: tuple[int, int], clip: Clip) -> NDArray[np.float64] | None:
        """Predicted change of each row's margin by one clip; None beyond what was screened."""
        rates, changes = self._curves[key].get((clip.layer, clip.module, clip.kind), ([], []))
        place = bisect_left(rates, clip.clip_rate)
        if place == len(rates):
            return None
        if rates[place] == clip.clip_rate:
            return changes[place]
        share = (clip.clip_rate - rates[place - 1]) / (rates[place] - rates[place - 1])
        return (1 - share) * changes[place - 1] + share * changes[place]


def _key(prompt_set: PromptSet) -> tuple[int, int]:
    """Shots and seed; without demonstrations the seed does not count."""
    return prompt_set.shots, prompt_set.demo_seed if prompt_set.shots else 0


def _curves(screened: Screened) -> dict[tuple[int, str, str], Curve]:
    """Changes by place, with none at rate 0."""
    curves: dict[tuple[int, str, str], Curve] = {}
    order = sorted(range(len(screened.request.clips)), key=lambda number: screened.request.clips[number].clip_rate)
    for number in order:
        clip = screened.request.clips[number]
        nothing = np.zeros(len(screened.margins))
        rates, changes = curves.setdefault((clip.layer, clip.module, clip.kind), ([0.0], [nothing]))
        if clip.clip_rate > 0:
            rates.append(clip.clip_rate)
            changes.append(screened.changes[number].astype(np.float64))
    return curves
