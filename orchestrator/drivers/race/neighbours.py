"""A race in which points speak for each other: more rows where they are worth most, by a model over all points.

Each decision is for the look, a further part of a point or the first of a new one, whose worth per cost is highest.
The race ends when the best point is complete and little more is expected of all others, or when as many rows have been
seen as halving would see of so many points.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from clipsweep.orchestrator.drivers.race.entry import Entry, Race
from clipsweep.orchestrator.drivers.race.halving import halving_rows
from clipsweep.orchestrator.drivers.race.neighbourhood import Cost, Neighbourhood
from clipsweep.orchestrator.space.candidates import Candidates
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.study.names import BAYES, NEIGHBOURS
from clipsweep.orchestrator.study.schema import SearchSection

FIRST_POINTS = 12  # of each number of shots begin before any worth is told


class Neighbours(Race):
    """Says which entry goes on, and where it chooses itself, which point begins.

    Attributes:
        begins: Whether ``choose`` names the points that begin; else all begin before any goes on.
    """

    uses_all_rows = True

    def __init__(
        self,
        candidates: Candidates,
        shots: Sequence[int],
        rungs: Sequence[int],
        *,
        cost: Cost,
        seed: int,
        begins: bool,
        limit: int | None = None,
    ) -> None:
        """Nobody has arrived.

        Args:
            candidates: Points that may begin.
            shots: Whose points race those of the same number.
            rungs: Rows of each, ascending to all.
            cost: Of one row of a choice, in any unit.
            seed: Of all that is drawn.
            begins: Whether ``choose`` names the points that begin; else all begin before any goes on.
            limit: Most points that ``choose`` may name; None if not known.
        """
        rng = random.Random(seed)  # one for all, so that no two numbers of shots draw the same
        self._groups = {each: Neighbourhood(candidates, each, rungs, cost, rng) for each in shots}
        self._rungs, self.begins, self._limit = rungs, begins, limit
        self._running: set[Entry] = set()
        self._last: dict[int, Entry] = {}  # by shots, who is run to its end when no more rows are left
        self._closed = False

    def arrived(self, entry: Entry) -> None:
        """Take its rows."""
        self._running.discard(entry)
        self._groups[entry.shots].hear(entry)

    def finished(self, entry: Entry) -> None:
        """Take its rows."""
        self.arrived(entry)

    def left(self, entry: Entry) -> None:
        """Look at it no more, whatever it promised."""
        self._running.discard(entry)
        self._groups[entry.shots].lose(entry)
        if self._last.get(entry.shots) is entry:
            del self._last[entry.shots]

    @property
    def settled(self) -> bool:
        """Whether no further point need begin: little is left to gain, or no rows are left for it."""
        return self.begins and (self._is_spent or self._is_known)

    @property
    def reason(self) -> str | None:
        """Why no further point need begin; None while one may."""
        if not self.settled:
            return None
        words = "hardly more is expected" if self._is_known else "no rows are left"
        return f"search.race: {NEIGHBOURS}, as {words}"

    @property
    def _is_known(self) -> bool:
        """Whether of each number of shots the best is complete, and hardly more is expected."""
        return all(group.is_settled(may_begin=self._may_begin) for group in self._groups.values())

    @property
    def _may_begin(self) -> bool:
        return self.begins and not (self._closed or self.all_began)

    def going_on(self, *, last_call: bool) -> list[Entry]:
        """The entry whose next look is worth most, unless a new point's is; once all rows are spent the best ones."""
        self._closed |= last_call
        if not self._closed and (not self.begins or self._is_early):
            return []
        chosen = self._unfinished() if self._is_spent else self._worth_most()
        if last_call and not chosen:
            chosen = self._unfinished()
        self._running |= {*chosen}
        return chosen

    def choose(self, is_new: Callable[[Choice], bool]) -> Choice | None:
        """The point to begin: for each number of shots ``Neighbourhood.first``, then where a look is worth most.

        While none can be judged, as the untouched model or all others have yet to arrive, it is again the first.

        Args:
            is_new: Whether a choice is neither known nor running, by itself or by others that leave the same ranks.

        Returns:
            None where all have begun.
        """
        while (choice := self._next_point()) is not None:
            new = is_new(choice)
            self._groups[choice.shots].begin(choice, is_new=new)
            if new:
                return choice
        return None

    def _next_point(self) -> Choice | None:
        """A point that has not begun, whether or not it is known by other clips; None where there is none."""
        unseen = {group: choices for group in self._groups.values() if (choices := group.unseen())}
        if not unseen:
            return None
        least = min(unseen, key=lambda group: len(group.begun))
        if len(least.begun) < FIRST_POINTS:
            return least.first()
        looks = {each: worth for group in unseen for each, worth in group.looks().items()}
        worth = {each: looks[each] for choices in unseen.values() for each in choices if each in looks}
        return max(worth, key=worth.__getitem__, default=None) or least.first()

    @property
    def _is_early(self) -> bool:
        """Whether the first points have not all arrived."""
        groups = self._groups.values()
        return any(group.n_heard < FIRST_POINTS and group.unseen() for group in groups)

    @property
    def _is_spent(self) -> bool:
        """Whether no more rows are left than the leaders need to be complete."""
        begun = sum(len(group.begun) for group in self._groups.values())
        total = halving_rows(self._rungs[-1], self._limit or begun)
        entries = [entry for group in self._groups.values() for entry in group.entries.values()]
        spent = sum(self._rungs[entry.rung + (entry in self._running)] for entry in entries)
        leaders = [group.leader for group in self._groups.values() if group.leader is not None]
        return spent + sum(self._rungs[-1] - self._rungs[each.rung] for each in leaders) >= total

    def _unfinished(self) -> list[Entry]:
        """Of each number of shots the one that promises most when this is first asked, until it is complete."""
        found: list[Entry] = []
        for shots, group in self._groups.items():
            group.looks()
            best = group.leader or max(group.entries.values(), key=_progress, default=None)
            if best is not None:
                last = self._last.setdefault(shots, best)
                found += [] if last in self._running or group.is_complete(last) else [last]
        return found

    def _worth_most(self) -> list[Entry]:
        """The entry whose next look is worth most; none where a point that has not begun is worth more."""
        best: tuple[float, Entry | None] = (float("-inf"), None)
        for group in self._groups.values():
            if group.is_settled(may_begin=self._may_begin):
                continue
            for choice, worth in group.looks().items():
                entry = group.entries.get(choice)
                may_look = entry not in self._running if entry else self._may_begin and choice not in group.begun
                if may_look and worth > best[0]:
                    best = worth, entry
        return [best[1]] if best[1] is not None else []


def make_neighbours(
    candidates: Candidates, search: SearchSection, rungs: Sequence[int], cost: Cost, told: int = 0
) -> Neighbours:
    """The race of a study, which chooses the points that begin where the study's sampler has its name.

    Args:
        candidates: Points of what is searched.
        search: Of the study.
        rungs: Rows of each, ascending to all.
        cost: Of one row of a choice, in any unit.
        told: Trials that are known already. They count in the seed, so that a search that goes on draws anew.
    """
    begins = search.driver == BAYES and search.sampler == NEIGHBOURS
    return Neighbours(
        candidates,
        candidates.space.shots,
        rungs,
        cost=cost,
        seed=search.seed + told,
        begins=begins,
        limit=search.n_trials if begins else None,
    )


def _progress(entry: Entry) -> tuple[int, float, int]:
    return entry.rung, entry.scores[-1], -entry.number
