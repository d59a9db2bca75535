"""The points that a race may begin: all of a small space, a changing sample of a large one."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import islice

from clipsweep.orchestrator.space.choices import draw, enumerate_choices, vary
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.space import Space

MOST = 256  # points of a number of shots that are looked at together


class Candidates:
    """Points of a space, for each number of shots."""

    def __init__(self, space: Space, rng: random.Random) -> None:
        """List the space, if that is short."""
        self._space, self._rng = space, rng
        listed = list(islice(enumerate_choices(space), MOST * len(space.shots) + 1))
        self.all_listed = bool(listed) and len(listed) <= MOST * len(space.shots)
        self._listed = [choice for choice in listed if self.all_listed]

    def near(self, shots: int, best: Iterable[Choice]) -> list[Choice]:
        """All points of a number of shots; of a large space random ones, and as many that are near the best ones."""
        if self.all_listed:
            return [choice for choice in self._listed if choice.shots == shots]
        best = list(best)
        drawn = [draw(self._space, self._rng) for _ in range(MOST // 2 if best else MOST)]
        varied = [vary(self._space, self._rng.choice(best), self._rng) for _ in range(MOST // 2 if best else 0)]
        return list(dict.fromkeys(choice._replace(shots=shots) for choice in [*varied, *drawn]))
