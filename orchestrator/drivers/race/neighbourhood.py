"""The points of one number of shots, and what a look at each is worth by all that has been seen of the others."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from clipsweep.orchestrator.drivers.neighbours.likeness import USUAL, Likeness
from clipsweep.orchestrator.drivers.neighbours.posterior import Beliefs, Posterior
from clipsweep.orchestrator.drivers.neighbours.readings import read
from clipsweep.orchestrator.drivers.neighbours.worth import left_to_gain, worth_per_cost
from clipsweep.orchestrator.drivers.race.entry import Entry
from clipsweep.orchestrator.space.candidates import MOST, Candidates
from clipsweep.orchestrator.space.proposal import Choice

LITTLE = 0.01  # of the best gain: no more looks for less
GROWTH = 1.25  # of the readings, before the model is learnt anew
SAME = 1e-3  # variances this near are equal
UNSURE = 0.15  # of an effect's variance: what a first look leaves, where points are spread

Cost = Callable[[Choice], float]


class Neighbourhood:
    """Hears of entries; says what the next look at each is worth, and where little is known."""

    def __init__(
        self, candidates: Candidates, shots: int, rungs: Sequence[int], cost: Cost, rng: random.Random
    ) -> None:
        """Nobody has arrived.

        Args:
            candidates: Points that may begin.
            shots: Of the points.
            rungs: Rows of each, ascending to all.
            cost: Of one row of a choice, in any unit.
            rng: Of all that is drawn.
        """
        self._shots, self._rungs, self._cost = shots, rungs, cost
        self._candidates = candidates
        self._costs: dict[Choice, float] = {}
        self._rng = rng
        self._posterior = Posterior(self._rng)
        self._untouched: Entry | None = None
        self._learnt_from = 0.0
        self._points: list[Choice] = []
        self._likeness: Likeness | None = None
        self._looks: dict[Choice, float] | None = None
        self._beliefs: Beliefs | None = None  # of the points listed
        self._gain = 0.0  # expected of the leader
        self._gone: set[Choice] = set()  # begun, and nothing more is to come of them
        self.entries: dict[Choice, Entry] = {}
        self.begun: dict[Choice, None] = {}  # in this order
        self.leader: Entry | None = None

    def hear(self, entry: Entry) -> None:
        """Take an entry that has reached a rung."""
        self._looks = None
        if entry.untouched:
            self._untouched = entry
            return
        choice = Choice(entry.shots, entry.clips)
        self.entries[choice] = entry
        self.begun[choice] = None
        self._gone.discard(choice)

    def lose(self, entry: Entry) -> None:
        """Forget an entry of which nothing more is to come; the untouched model has been seen as far as it has."""
        choice = Choice(entry.shots, entry.clips)
        if entry.untouched or choice in self._gone:
            return
        self.begin(choice, is_new=False)
        if self.entries.pop(choice, None) is not None:
            self._looks = self.leader = None

    def begin(self, choice: Choice, *, is_new: bool = True) -> None:
        """A point begins, or cannot as it is known already, in itself or by other clips that leave the same ranks."""
        self.begun[choice] = None
        if not is_new:
            self._gone.add(choice)

    @property
    def n_heard(self) -> int:
        """Points that have arrived, and those that never will."""
        return len(self.entries.keys() | self._gone)

    def is_settled(self, *, may_begin: bool) -> bool:
        """Whether the best is complete and little more is to be expected, of new points as well if these may begin."""
        self.looks()
        if self.leader is None or not self.is_complete(self.leader) or self._gain <= 0:
            return False
        return self._left_to_gain(may_begin=may_begin) < LITTLE * self._gain

    def _left_to_gain(self, *, may_begin: bool) -> float:
        """At most to be gained, in accuracy, by points of which more rows can still be seen."""
        assert self._beliefs is not None, "there is a leader"
        ends = np.array([(each in self._gone) or not (may_begin or each in self.begun) for each in self._points])
        return left_to_gain(self._beliefs, np.where(ends, self._rungs[-1], self._rows()), self._rungs[-1])

    def is_complete(self, entry: Entry) -> bool:
        """Whether it has seen all rows."""
        return entry.rung == len(self._rungs) - 1

    def looks(self) -> dict[Choice, float]:
        """What the next look at each point is worth per cost, as a logarithm; at complete points there is none."""
        if self._looks is None:
            self._looks = self._judge()
        return self._looks

    def unseen(self) -> list[Choice]:
        """Candidates that have not begun; of a large space others are drawn when all of a sample have."""
        if self._points and not self._candidates.all_listed and self.begun.keys() >= {*self._points}:
            self._list([])
            self._looks = None
        return [choice for choice in self._listed() if choice not in self.begun]

    def first(self) -> Choice | None:
        """The candidate to begin before any worth is told: of which most is predicted, else of which least is known."""
        if not self._candidates.foreseen:
            return self._least_known()
        unseen = self.unseen()
        return unseen[int(self._candidates.predicted(unseen).argmax())] if unseen else None

    def _least_known(self) -> Choice | None:
        """The candidate of which those that have begun say least; of several any; None where all have begun."""
        unseen = self.unseen()
        begun = [choice for choice in self._listed() if choice in self.begun]
        if not begun or not unseen:
            return self._rng.choice(unseen) if unseen else None
        alike = self._placed().matrix(USUAL)
        seen, others = (self._places(each) for each in (begun, unseen))
        across = alike[np.ix_(seen, others)]
        among = alike[np.ix_(seen, seen)] + UNSURE * np.eye(len(seen))
        told = np.einsum("ij,ij->j", across, np.linalg.solve(among, across))
        least = np.flatnonzero(told <= told.min() + SAME)
        return unseen[self._rng.choice(least.tolist())]

    def _cost_of(self, choice: Choice) -> float:
        if choice not in self._costs:
            self._costs[choice] = self._cost(choice)
        return self._costs[choice]

    def _compared(self) -> dict[Choice, Entry]:
        """Entries, once the untouched model has arrived; of very many those that promise most.

        Each is compared on the rows that the untouched model has seen too.
        """
        untouched, found = self._untouched, self.entries
        if untouched is None:
            return {}
        if len(found) <= MOST:
            return {**found}

        def promise(choice: Choice) -> tuple[int, float]:
            rung = min(found[choice].rung, untouched.rung)
            return found[choice].rung, found[choice].scores[rung] - untouched.scores[rung]

        return {choice: found[choice] for choice in sorted(found, key=promise, reverse=True)[:MOST]}

    def _listed(self) -> list[Choice]:
        """Entries and candidates, in the order of their likeness."""
        if not self._points:
            self._list([])
        return self._points

    def _list(self, best: Sequence[Choice]) -> None:
        """List what is compared and may be: of very many entries the others are left out."""
        compared = self._compared() or dict(islice(self.entries.items(), MOST))
        running = [choice for choice in self.begun if choice not in self.entries and choice not in self._gone]
        listed = dict.fromkeys([*compared, *running, *self._candidates.near(self._shots, best)])
        others = self.entries.keys() - compared.keys()
        self._points = [choice for choice in listed if choice not in others]
        self._likeness = None

    def _placed(self) -> Likeness:
        if self._likeness is None:
            self._likeness = Likeness([choice.clips for choice in self._listed()])
        return self._likeness

    def _places(self, choices: Sequence[Choice]) -> NDArray[np.intp]:
        places = {choice: number for number, choice in enumerate(self._listed())}
        return np.array([places[choice] for choice in choices], dtype=np.intp)

    def _rows(self) -> NDArray[np.float64]:
        """Rows of each point listed that have been seen."""
        entries = [self.entries.get(choice) for choice in self._points]
        return np.array([0.0 if entry is None else self._rungs[entry.rung] for entry in entries])

    def _judge(self) -> dict[Choice, float]:
        """Learn, where there is much new, and judge every point."""
        compared = self._compared()
        if not compared or self._untouched is None:
            return {}
        readings = read([entry.values for entry in compared.values()], self._untouched.values, self._rungs)
        learns = len(readings.points) >= GROWTH * self._learnt_from
        if not set(compared) <= set(self._listed()) or (learns and not self._candidates.all_listed):
            best = sorted(compared, key=lambda choice: -compared[choice].scores[-1])
            self._list(best[: max(1, len(best) // 4)])
        likeness, seen = self._placed(), self._places(list(compared))
        predicted = self._candidates.predicted(self._points)
        if learns:
            self._posterior.learn(likeness, predicted, seen, readings)
            self._learnt_from = float(len(readings.points))
        beliefs = self._posterior.believe(likeness, predicted, seen, readings)
        costs = np.array([self._cost_of(choice) for choice in self._points])
        expected = beliefs.means[seen]
        self.leader = list(compared.values())[int(expected.argmax())]
        self._beliefs, self._gain = beliefs, float(expected.max())
        worth = worth_per_cost(beliefs, self._rows(), costs, self._rungs)
        return {choice: float(each) for choice, each in zip(self._points, worth, strict=True) if each > -np.inf}
