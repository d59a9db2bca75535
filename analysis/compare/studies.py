"""Studies side by side: the first, and each of the others beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from clipsweep.analysis.compare.facts import differing
from clipsweep.analysis.compare.pair import Pair
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.winners.standings import winner_document


@dataclass(frozen=True, kw_only=True)
class SideBySide:
    """Two or more studies.

    Attributes:
        sides: The studies as they were given.
    """

    sides: Sequence[Side]

    @cached_property
    def pairs(self) -> list[Pair]:
        """Each of the others beside the first."""
        first, *others = self.sides
        return [Pair(first=first, second=other) for other in others]

    @cached_property
    def differing(self) -> list[str]:
        """Names of the facts in which they differ."""
        return differing([side.facts for side in self.sides])

    def document(self, top: int) -> dict[str, Any]:
        """The document of ``clipsweep compare --json``.

        Args:
            top: Of how many points the interval is told; it takes time.
        """
        return {
            "studies": [_describe(side) for side in self.sides],
            "differ": self.differing,
            "pairs": [pair.document(top) for pair in self.pairs],
        }


def _describe(side: Side) -> dict[str, Any]:
    winner, winners = side.standings.winner, side.standings.winners
    return {
        "name": side.name,
        "dir": side.dir,
        "facts": {name: list(values) for name, values in side.facts.items()},
        "cost": asdict(side.cost),
        "winner": None if winner is None else {"shots": winner.point.shots, **winner_document(winner)},
        "by_shots_and_module": [
            {"shots": shots, "module": module, **winner_document(each)} for (shots, module), each in winners.items()
        ],
    }
