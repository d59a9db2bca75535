"""A test score of the paper beside that of a study's winner of the same module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from clipsweep.analysis.compare.curves import Published
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.published.read import RELEASED_CODE
from clipsweep.analysis.winners.standings import Winner, winner_document


@dataclass(frozen=True, kw_only=True)
class TestedPair:
    """A test score of the paper beside that of the study's winner of the same module.

    Attributes:
        study: Name of the study.
        shots: Demonstrations of the study's prompts.
        published: The paper's row.
        winner: The study's; None where it has none of that module.
    """

    study: str
    shots: int
    published: Published
    winner: Winner | None

    @property
    def published_gain(self) -> float:
        """Of the paper."""
        return float(self.published["score"] - self.published["baseline"])

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "study": self.study,
            "shots": self.shots,
            "published": {**self.published, "gain": self.published_gain},
            "winner": None if self.winner is None else winner_document(self.winner),
        }


def pair_tests(side: Side, published: Sequence[Published]) -> Iterator[TestedPair]:
    """The paper's test scores: of its tables first, then what its released code adds to them.

    Args:
        side: The study.
        published: Rows of its task on test.
    """
    printed = [row for row in published if row["source"] != RELEASED_CODE]
    shown = {(row["model"], row["module"], row["layer"]) for row in printed}
    added = [row for row in published if (row["model"], row["module"], row["layer"]) not in shown]
    for row in [*printed, *added]:
        for shots in side.shots:
            winner = side.standings.winners.get((shots, row["module"]))
            yield TestedPair(study=side.name, shots=shots, published=row, winner=winner)
