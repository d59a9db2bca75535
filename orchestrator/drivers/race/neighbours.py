"""A race in which points speak for each other: more rows where they are worth most, by a model over all points.

Each decision is for the look, a further part of a point or the first of a new one, whose worth per cost is highest.
The race ends when the best point is complete and little more is expected of all others, or when as many rows have been
seen as halving would see of so many points.
"""

from __future__ import annotations

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
        self._groups = {each: Neighbourhood(candidates, each, rungs, cost, seed) for each in shots}
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

    @property
    def settled(self) -> bool:
        """Whether no further point need begin: little is left to gain, or no rows are left for it."""
        return self.begins and (self._is_spent or all(group.is_settled for group in self._groups.values()))

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
        """The point to begin: at first those of ``Neighbourhood.first``, then where a look is worth most.

        None where all have begun.
        """
        group = min(self._groups.values(), key=lambda group: len(group.begun))
        if len(group.begun) < FIRST_POINTS:
            choice = group.first()
        else:
            looks = {each: worth for group in self._groups.values() for each, worth in group.looks().items()}
            unseen = {each: looks[each] for group in self._groups.values() for each in group.unseen() if each in looks}
            choice = max(unseen, key=unseen.__getitem__, default=None)
        if choice is None:
            return None
        self._groups[choice.shots].begun.add(choice)
        return choice if is_new(choice) else self.choose(is_new)

    @property
    def _is_early(self) -> bool:
        """Whether the first points have not all arrived."""
        groups = self._groups.values()
        return any(len(group.entries) < FIRST_POINTS and group.unseen() for group in groups)

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
            if group.is_settled:
                continue
            for choice, worth in group.looks().items():
                entry = group.entries.get(choice)
                may_look = entry not in self._running if entry else self.begins and not self._closed
                if may_look and worth > best[0] and (entry or choice not in group.begun):
                    best = worth, entry
        return [best[1]] if best[1] is not None else []


def make_neighbours(candidates: Candidates, search: SearchSection, rungs: Sequence[int], cost: Cost) -> Neighbours:
    """The race of a study, which chooses the points that begin where the study's sampler has its name.

    Args:
        candidates: Points of what is searched.
        search: Of the study.
        rungs: Rows of each, ascending to all.
        cost: Of one row of a choice, in any unit.
    """
    begins = search.driver == BAYES and search.sampler == NEIGHBOURS
    return Neighbours(
        candidates,
        candidates.space.shots,
        rungs,
        cost=cost,
        seed=search.seed,
        begins=begins,
        limit=search.n_trials if begins else None,
    )


def _progress(entry: Entry) -> tuple[int, float, int]:
    return entry.rung, entry.scores[-1], -entry.number
