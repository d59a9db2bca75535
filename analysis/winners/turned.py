"""Which examples a clip turns: right under one of two trials, wrong under the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.gain import Gain, gain_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What two trials answered differently.

    Attributes:
        n_examples: How many were compared: the first ones, which both trials have seen.
        gained: Numbers of the examples that became right, from 0, in the split's order.
        lost: The same of those that became wrong.
        gain: Of the examples that were compared.
    """

    n_examples: int
    gained: tuple[int, ...]
    lost: tuple[int, ...]
    gain: Gain


def find_turned(row: StoredRow, before: StoredRow) -> Turned:
    """Compare two trials of one split example by example.

    Args:
        row: Of the trial; it has scores.
        before: Of the one that it is compared with; it has scores too.
    """
    count = min(row.n_examples, before.n_examples)
    differences = row.outcomes[:count].astype(float) - before.outcomes[:count]
    return Turned(
        n_examples=count,
        gained=tuple(np.flatnonzero(differences > 0).tolist()),
        lost=tuple(np.flatnonzero(differences < 0).tolist()),
        gain=gain_of(differences, row.split),
    )
