"""How much has run, or is to run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """How much has run, or is to run.

    Attributes:
        trials: How many; of a race, parts of trials.
        rows: Of all of them.
        work: What they cost by the cost model, in any unit.
    """

    trials: int = 0
    rows: int = 0
    work: float = 0.0

    def __add__(self, other: Amount) -> Amount:
        """Both together."""
        return Amount(trials=self.trials + other.trials, rows=self.rows + other.rows, work=self.work + other.work)

    def __sub__(self, other: Amount) -> Amount:
        """What is left without the other."""
        return self + Amount(trials=-other.trials, rows=-other.rows, work=-other.work)
