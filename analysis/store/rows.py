"""Stored rows together: every attempt in the order they finished, and the latest attempt at each trial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clipsweep.analysis.store.arrays import make_array
from clipsweep.analysis.store.columns import ArrowCells
from clipsweep.analysis.store.row import SCHEMA, StoredRow
from clipsweep.trials.spec.result import TrialState

_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("finished_at", "ascending"),
    ("trial_id", "ascending"),
    ("attempt", "ascending"),
]
_KEYS = [name for name, _ in _ORDER]


class Attempts(Sequence[StoredRow]):
    """Every stored attempt in the order they finished. The rows stay in an Arrow table until they are asked for."""

    def __init__(self, table: pa.Table) -> None:
        """Put rows into the order in which they finished. The table is not copied.

        Args:
            table: With the columns of ``SCHEMA``.
        """
        self._table = table
        # numbers are sorted, not rows: Arrow cannot join a column of more than 2 GiB, and margins grow beyond that
        self._order = _without_copies(table, pc.sort_indices(table.select(_KEYS), sort_keys=_ORDER))
        self._cells = ArrowCells(table)

    @classmethod
    def none(cls) -> Attempts:
        """No attempts."""
        columns = [pa.nulls(0, field.type) for field in SCHEMA]  # Schema.empty_table would load pandas
        return cls(pa.Table.from_arrays(columns, schema=SCHEMA))

    @property
    def table(self) -> pa.Table:
        """All of them in Arrow, in no order."""
        return self._table

    def __len__(self) -> int:
        """How many attempts."""
        return len(self._order)

    @overload
    def __getitem__(self, number: int) -> StoredRow: ...

    @overload
    def __getitem__(self, number: slice) -> list[StoredRow]: ...

    def __getitem__(self, number: int | slice) -> StoredRow | list[StoredRow]:
        """The attempt of a number, or those of a range."""
        numbers = range(len(self))[number]
        if isinstance(numbers, int):
            return self._row(numbers)
        return [self._row(each) for each in numbers]

    def __iter__(self) -> Iterator[StoredRow]:
        """Each attempt."""
        return map(self._row, range(len(self)))

    def _row(self, number: int) -> StoredRow:
        return StoredRow(self._cells, self._order[number].as_py())

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all attempts, in their order."""
        return self._table.select(list(names)).take(self._order)

    def latest(self) -> LatestRows:
        """The latest attempt at each trial."""
        return LatestRows(self)


class LatestRows(Mapping[str, StoredRow]):
    """The latest attempt at each trial by trial identity, in the order of their first attempts.

    A complete attempt always counts as the latest. Rows that are stored later can be added.
    """

    def __init__(self, attempts: Attempts) -> None:
        """Find the latest attempts."""
        self._attempts = attempts
        self._numbers = _latest_numbers(attempts)
        self._added: dict[str, StoredRow] = {}

    def __getitem__(self, trial_id: str) -> StoredRow:
        """The latest attempt at a trial."""
        added = self._added.get(trial_id)
        return self._attempts[self._numbers[trial_id]] if added is None else added

    def __iter__(self) -> Iterator[str]:
        """The trials."""
        yield from self._numbers
        yield from (trial_id for trial_id in self._added if trial_id not in self._numbers)

    def __len__(self) -> int:
        """How many trials."""
        return len(self._numbers.keys() | self._added.keys()) if self._added else len(self._numbers)

    def __contains__(self, trial_id: object) -> bool:
        """Whether a trial has a row."""
        return trial_id in self._numbers or trial_id in self._added

    def add(self, rows: Iterable[StoredRow]) -> None:
        """Take rows that have been stored since."""
        self._added |= {row.trial_id: row for row in rows}


def _without_copies(table: pa.Table, order: pa.Array[Any]) -> pa.Array[Any]:
    """Numbers of rows in their order, each attempt once: a file that somebody has copied holds rows a second time."""
    same: Any = None  # whether a row equals the one before it
    for name in _KEYS:
        column = table[name].take(order)
        as_before = pc.equal(column[1:], column[:-1])
        same = as_before if same is None else pc.and_(same, as_before)
        if not pc.any(same).as_py():
            return order
    first = [0, *(number + 1 for number, copied in enumerate(same.to_pylist()) if not copied)]
    return order.take(make_array(first, pa.int64()))


def _latest_numbers(attempts: Attempts) -> dict[str, int]:
    """By trial the number of its latest attempt, of equal ones the first."""
    table = attempts.columns(("trial_id", "state", "attempt"))
    trial_ids = [str(each) for each in table["trial_id"].to_pylist()]
    complete = np.array([state == TrialState.COMPLETE.value for state in table["state"].to_pylist()])
    attempt = np.array(table["attempt"].to_pylist())  # to_numpy would load pandas
    position = np.arange(len(trial_ids))
    ascending = np.lexsort((-position, attempt, complete)).tolist()
    numbers = dict.fromkeys(trial_ids, 0)  # so that trials keep the order of their first attempts
    numbers.update((trial_ids[number], number) for number in ascending)
    return numbers
