"""Successive halving: of each rung a share goes on. The untouched model is no rival in it."""

from __future__ import annotations

import math
from collections import defaultdict

from clipsweep.orchestrator.drivers.race.entry import Entry, Race
from clipsweep.trials.spec.ladder import FACTOR, make_rungs


def halving_share(n_rows: int) -> float:
    """Share of the rows that halving evaluates of many entries: of each rung one in ``FACTOR`` sees the next."""
    rungs = make_rungs(n_rows)
    parts = zip(rungs, (0, *rungs), strict=False)
    return float(sum((rows - before) / FACTOR**number for number, (rows, before) in enumerate(parts)) / n_rows)


def halving_rows(n_rows: int, entries: int) -> int:
    """Rows that halving evaluates of so many entries: of each rung half go on, rounded down, but one at least."""
    rungs = make_rungs(n_rows)
    parts = zip(rungs, (0, *rungs), strict=False)
    return sum((rows - before) * max(1, entries // FACTOR**number) for number, (rows, before) in enumerate(parts))


class Halving(Race):
    """Successive halving: of each rung one entry in ``FACTOR`` goes on, by its score on the rung's rows.

    Where the driver's proposals do not depend on results a rung is decided when all have reached it (Jamieson and
    Talwalkar, 2016, arXiv:1502.07943), and in the end the best of each module without a finisher is run to its end.
    Where they do, a rung is decided anew with each that comes (ASHA: Li et al., 2020, arXiv:1810.05934), and at the
    last call the best of the highest rung goes on, until one has finished.
    """

    def __init__(self, *, waits: bool) -> None:
        """Nobody has arrived; ``waits`` for all of a rung before it is decided."""
        self._waits = waits
        self._been: dict[tuple[int, int], list[Entry]] = defaultdict(list)  # by shots and rung
        self._left: set[tuple[Entry, int]] = set()  # rungs that an entry has gone on from
        self._done: set[tuple[int, str | None]] = set()  # shots and modules of which an entry has finished

    def arrived(self, entry: Entry) -> None:
        """Rank it among those of its rung, of which the untouched model is no rival."""
        if not entry.untouched:
            self._been[entry.shots, entry.rung].append(entry)

    def finished(self, entry: Entry) -> None:
        """Remember that its shots and modules have a finisher."""
        if not entry.untouched:
            self._done.add((entry.shots, entry.modules))

    def going_on(self, *, last_call: bool) -> list[Entry]:
        """The best of each rung, as many as may go on."""
        chosen = [] if self._waits else [entry for key in self._been for entry in self._ahead(*key)]
        if last_call and not chosen:
            chosen = self._last_chosen()
        self._left |= {(entry, entry.rung) for entry in chosen}
        return chosen

    def _last_chosen(self) -> list[Entry]:
        """Who goes on when all rungs are decided, so that there is a finisher wherever a winner is looked for."""
        finished = {shots for shots, _ in self._done}
        unfinished = {shots for shots, _ in self._been} - finished
        chosen = [entry for shots in unfinished for entry in self._best_waiting(shots)]
        if chosen or not self._waits:
            return chosen
        waiting = [entry for key in self._been for entry in self._waiting(*key)]
        best: dict[tuple[int, str | None], Entry] = {}
        for entry in sorted(waiting, key=lambda entry: (-entry.rung, -entry.scores[-1], entry.number)):
            best.setdefault((entry.shots, entry.modules), entry)
        return [entry for group, entry in best.items() if group not in self._done]

    def _ahead(self, shots: int, rung: int) -> list[Entry]:
        """Of all that have been at a rung the best, but for those that have gone on already."""
        ranked = self._ranked(shots, rung)
        return [entry for entry in ranked[: len(ranked) // FACTOR] if (entry, rung) not in self._left]

    def _best_waiting(self, shots: int) -> list[Entry]:
        """The best that wait at the highest rung where any does."""
        for rung in sorted((rung for each, rung in self._been if each == shots), reverse=True):
            waiting = self._waiting(shots, rung)
            if waiting:
                return waiting[: math.ceil(len(waiting) / FACTOR) if self._waits else 1]
        return []

    def _waiting(self, shots: int, rung: int) -> list[Entry]:
        """Those of a rung that have not gone on, the best first."""
        return [entry for entry in self._ranked(shots, rung) if (entry, rung) not in self._left]

    def _ranked(self, shots: int, rung: int) -> list[Entry]:
        return sorted(self._been[shots, rung], key=lambda entry: (-entry.scores[rung], entry.number))
