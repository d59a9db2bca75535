"""The ladder of a split: the row numbers at which every evaluation of it is cut, raced or not.

A race evaluates a trial in parts, from one rung to a later one. No microbatch crosses a rung, whether the trial is
raced or evaluated whole. So a row runs beside the same rows and is padded to the same width either way, and gives the
same numbers bit by bit on the same machine. The ladder depends on the number of rows alone.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

FIRST_SHARE, FIRST_ROWS = 32, 16  # the first rung is one row in so many, but no fewer than these
FACTOR = 2  # each rung has so many times the rows of the last


def make_rungs(n_rows: int) -> tuple[int, ...]:
    """Rows of each rung, counted from the first of the split, ascending to all of them."""
    first = max(FIRST_ROWS, math.ceil(n_rows / FIRST_SHARE))
    counts = (first * FACTOR**number for number in range(n_rows.bit_length()))
    return (*(count for count in counts if count < n_rows), n_rows)


def cuts_of(numbers: Sequence[int], n_rows: int) -> tuple[int, ...]:
    """Where the ladder of a split of ``n_rows`` cuts these of its rows, ascending: how many lie below each rung."""
    inside = [rung for rung in make_rungs(n_rows) if numbers[0] < rung <= numbers[-1]]
    return tuple(bisect_left(numbers, rung) for rung in inside)
