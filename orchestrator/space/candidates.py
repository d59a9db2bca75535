"""Points that a search may begin, with what is predicted of them: all of a small space, a sample of a large one."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from clipsweep.orchestrator.space.choices import draw, enumerate_choices, vary
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.space import Space

MOST = 256  # points of a number of shots that are looked at together
OPENERS = 10  # as many as samplers would draw at random to begin with
CLIMBS = 8  # steps from random points to those of which most is predicted, in a space that is not listed

Predict = Callable[[Choice], float | None]  # the gain in accuracy by a screen; None where it says nothing


class Candidates:
    """Points of a space, for each number of shots, with what is predicted of them.

    Attributes:
        space: Whose points.
        foreseen: Whether anything is predicted.
    """

    def __init__(self, space: Space, rng: random.Random, predict: Predict | None = None) -> None:
        """List the space, if that is short."""
        self.space, self._rng, self._predict = space, rng, predict
        self._gains: dict[Choice, float] = {}
        self._promising: dict[int, list[Choice]] = {}  # by shots
        self.foreseen = predict is not None
        listed = list(islice(enumerate_choices(space), MOST * len(space.shots) + 1))
        self.all_listed = bool(listed) and len(listed) <= MOST * len(space.shots)
        self._listed = [choice for choice in listed if self.all_listed]

    def near(self, shots: int, best: Iterable[Choice]) -> list[Choice]:
        """All points of a number of shots; of a large space random ones, and as many that are near the best ones.

        Of a large space of which something is predicted, those of which most is expected as well.
        """
        if self.all_listed:
            return [choice for choice in self._listed if choice.shots == shots]
        best = list(best)
        drawn = [draw(self.space, self._rng) for _ in range(MOST // 2 if best else MOST)]
        varied = [vary(self.space, self._rng.choice(best), self._rng) for _ in range(MOST // 2 if best else 0)]
        near = [choice._replace(shots=shots) for choice in [*varied, *drawn]]
        return list(dict.fromkeys([*self._most_promising(shots), *filter(_clips_something, near)]))

    def openers(self) -> list[Choice]:
        """Of each number of shots the points of which most is predicted, to begin with; none without predictions."""
        if not self.foreseen:
            return []
        return [choice for shots in self.space.shots for choice in self._leading(self.near(shots, []), OPENERS)]

    def _leading(self, choices: Sequence[Choice], count: int) -> list[Choice]:
        """The first of some choices by what is predicted of them."""
        return [choices[place] for place in np.argsort(-self.predicted(choices), kind="stable")[:count]]

    def predicted(self, choices: Sequence[Choice]) -> NDArray[np.float64]:
        """Predicted gain in accuracy of each choice; 0 where there is no prediction."""
        if self._predict is None:
            return np.zeros(len(choices))
        for choice in choices:
            if choice not in self._gains:
                self._gains[choice] = self._predict(choice) or 0.0
        return np.array([self._gains[choice] for choice in choices])

    def _most_promising(self, shots: int) -> list[Choice]:
        """Points of which most is predicted, climbed to from random ones; none without predictions."""
        if not self.foreseen:
            return []
        if shots not in self._promising:
            drawn = [draw(self.space, self._rng)._replace(shots=shots) for _ in range(2 * MOST)]
            found = [*filter(_clips_something, drawn)]
            for _ in range(CLIMBS):
                best = self._leading(list(dict.fromkeys(found)), MOST // 4)
                varied = [vary(self.space, choice, self._rng) for choice in best for _ in range(3)]
                found = [*best, *filter(_clips_something, varied)]
            self._promising[shots] = best
        return self._promising[shots]


def _clips_something(choice: Choice) -> bool:
    """Whether it is not the untouched model, which a range of rates from 0 may come to."""
    return bool(choice.clips)
