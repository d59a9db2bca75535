"""The sequential test: an entry is stopped when it is shown that it cannot win, with a bound on the error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from clipsweep.orchestrator.drivers.race.betting import Numbers, bet, open_accounts
from clipsweep.orchestrator.drivers.race.entry import Entry, Outcomes, Race

REFERENCES = 8  # entries whose mean another is compared with: the best so far


class SequentialTest(Race):
    """An entry is stopped when a paired test says that it is not the best by more than a margin.

    An entry that beats every other by ``indifference`` beats any average of others by that, so one bet against it
    suffices, on the mean of the best others (``betting.py``); the error rate is shared with nobody. Scores, which may
    be smoothed, choose who those are; what is bet on is right and wrong. The claim: an entry whose expected outcome is
    better than that of every other by ``indifference`` or more is stopped with a chance of at most ``error_rate``, and
    so is an entry whose mean over all rows is better by that.

    The references of the rows between two rungs are chosen by rows before them alone. A rung is therefore decided
    when all that are to reach it have: they are those that earlier rows let go on, whatever the order in which they
    come. Where the driver learns, which entries there are depends on all rows that others have seen. There the
    untouched model is the only reference, and the claim is that of any one point which is better than that by the
    margin.

    Where all are stopped, the best of those that came furthest goes on, so that one sees all rows.
    """

    def __init__(self, *, indifference: float, error_rate: float, rungs: tuple[int, ...], waits: bool) -> None:
        """Nobody has arrived.

        Args:
            indifference: Margin, as a fraction: 0.005 is half a point.
            error_rate: Chance that the best entry is stopped wrongly.
            rungs: Rows of each rung, ascending to all rows.
            waits: Whether all of a rung arrive before it is decided; see ``Halving``.
        """
        self._indifference = indifference
        self._rungs = rungs
        self._waits = waits
        self._opening = open_accounts(rungs, error_rate)
        self._accounts: dict[Entry, Numbers] = {}  # of those that have been judged at a rung, as of the last
        self._rivals: dict[int, list[Entry]] = defaultdict(list)  # by shots
        self._waiting: list[Entry] = []
        self._stopped: dict[int, list[Entry]] = defaultdict(list)  # by shots
        self._done: set[int] = set()  # shots of which an entry has finished

    def arrived(self, entry: Entry) -> None:
        """Judge it at the next call, or when all of its rung are there."""
        if entry.rung == 0:
            self._rivals[entry.shots].append(entry)
        if not entry.untouched:
            self._waiting.append(entry)

    def finished(self, entry: Entry) -> None:
        """Remember that its shots have a finisher."""
        if not entry.untouched:
            self._done.add(entry.shots)

    def going_on(self, *, last_call: bool) -> list[Entry]:
        """All that have arrived and are not stopped, when they can be judged."""
        if self._waits and not last_call:
            return []
        waiting, self._waiting = self._waiting, []
        groups: dict[tuple[int, int, bool], list[Entry]] = defaultdict(list)
        for entry in waiting:
            groups[entry.shots, entry.rung, entry in self._accounts].append(entry)
        chosen = [entry for group in groups.values() for entry in self._standing(group)]
        return [*chosen, *self._last_hopes(chosen)] if last_call else chosen

    def _standing(self, group: Sequence[Entry]) -> list[Entry]:
        """Those of entries of one rung, all of them judged before or none, that are not stopped."""
        rung, known = group[0].rung, group[0] in self._accounts
        held = np.array([self._accounts.get(entry, self._opening) for entry in group])
        for each in range(rung if known else 0, rung + 1):
            references = self._references(group[0].shots, each)
            if references:
                differences = np.array([_ahead(entry, references, self._rungs[each]) for entry in group])
                held = bet(held, differences, each, self._rungs, self._indifference)
                self._accounts.update(zip(group, held, strict=True))
        rich = held.sum(axis=1) >= 1
        self._stopped[group[0].shots] += [entry for entry, stopped in zip(group, rich, strict=True) if stopped]
        return [entry for entry, stopped in zip(group, rich, strict=True) if not stopped]

    def _last_hopes(self, chosen: Sequence[Entry]) -> list[Entry]:
        """Of shots of which none has finished or goes on, the best of those that came furthest."""
        found = []
        for shots in self._stopped.keys() - self._done - {entry.shots for entry in chosen}:
            if stopped := self._stopped[shots]:
                best = max(stopped, key=lambda entry: (entry.rung, entry.scores[-1], -entry.number))
                stopped.remove(best)
                found.append(best)
        return found

    def _references(self, shots: int, rung: int) -> list[Entry]:
        """Whom entries are compared with on the rows that lead to a rung: the best before them, the best first.

        One more than are needed, as no entry is its own reference.
        """
        there = [rival for rival in self._rivals[shots] if rival.rung >= rung]
        if rung == 0 or not self._waits:
            return [rival for rival in there if rival.untouched]
        there.sort(key=lambda rival: (-rival.scores[rung - 1], rival.number))
        return there[: REFERENCES + 1] if len(there) > 1 else []


def _ahead(entry: Entry, references: Sequence[Entry], rows: int) -> Outcomes:
    """Outcomes of an entry on so many rows less the mean of its references'."""
    others = [reference for reference in references if reference is not entry][:REFERENCES]
    mean = np.mean([other.outcomes[:rows] for other in others], axis=0)
    return np.asarray(entry.outcomes[:rows] - mean)
