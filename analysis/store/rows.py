"""Stored rows together: every attempt in the order they finished, and the latest attempt at each trial."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, starmap
from typing import Any, Literal, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clipsweep.analysis.row.columns import time_of
from clipsweep.analysis.row.packing import outcomes_as_text
from clipsweep.analysis.row.row import (
    OF_BLOCKS,
    PACKED,
    SCHEMA,
    Record,
    StoredRow,
    clip_record,
    clips_in,
    finite_of,
    in_base64,
    jsonable,
)
from clipsweep.analysis.store.blocks import MemoryBlock, Stack, indices_of
from clipsweep.analysis.store.filled import FilledBlock, Filling
from clipsweep.trials.spec.result import TrialState

_ORDER: list[tuple[str, Literal["ascending", "descending"]]] = [
    ("finished_at", "ascending"),
    ("trial_id", "ascending"),
    ("attempt", "ascending"),
]
_KEYS = [name for name, _ in _ORDER]
CHUNK_ROWS = 8192  # that are looked at together


class Attempts(Sequence[StoredRow]):
    """Every stored attempt in the order they finished. The rows stay in an Arrow table until they are asked for."""

    def __init__(self, rows: Stack, order: list[Any] | None = None, unfilled: Attempts | None = None) -> None:
        """Put rows into the order in which they finished, unless it is known. Only what tells the order is read."""
        self._rows = rows
        self._unfilled = unfilled
        self._order = _order_of(rows.columns(_KEYS)) if order is None else order

    @classmethod
    def of(cls, table: pa.Table) -> Attempts:
        """The rows of a table with the columns of ``SCHEMA``; it is not copied."""
        return cls(Stack([MemoryBlock(table)]))

    @classmethod
    def none(cls) -> Attempts:
        """No attempts."""
        return cls(Stack([]))

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
        return StoredRow(self._rows, self._order[number])

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all attempts, in their order. They are kept: meant for columns of small values."""
        return self._rows.columns(names).take(indices_of(np.array(self._order)))

    def chunks(self, names: Sequence[str], numbers: Sequence[int]) -> Iterator[pa.Table]:
        """Some columns of some attempts, some thousands at a time; none is kept.

        Args:
            names: Of the columns.
            numbers: Of the attempts, in the order wanted.
        """
        for first in range(0, len(numbers), CHUNK_ROWS):
            wanted = [self._order[number] for number in numbers[first : first + CHUNK_ROWS]]
            yield self._rows.take(names, wanted)

    def filled(self, filling: Filling) -> Attempts:
        """The same attempts with what they lack of some columns; nothing is read yet."""
        rows = self._rows.over(lambda block: FilledBlock(block, filling))
        return Attempts(rows, self._order, unfilled=self.unfilled)

    @property
    def unfilled(self) -> Attempts:
        """The same attempts with what their own files hold of them alone."""
        return self if self._unfilled is None else self._unfilled

    def latest(self) -> LatestRows:
        """The latest attempt at each trial."""
        return LatestRows(self)


class LatestRows(Mapping[str, StoredRow]):
    """The latest attempt at each trial by trial identity, in the order of their first attempts.

    A complete attempt always counts as the latest. Rows that are stored later can be added.
    """

    def __init__(self, attempts: Attempts) -> None:
        """Find the latest attempts."""
        self.attempts = attempts
        self._numbers, self._states = _latest_numbers(attempts)
        self._scores: dict[str, list[float | None]] = {}
        self._added: list[StoredRow] = []  # their numbers follow those of the attempts

    def __getitem__(self, trial_id: str) -> StoredRow:
        """The latest attempt at a trial."""
        return self._row(self.attempts, trial_id)

    def __iter__(self) -> Iterator[str]:
        """The trials."""
        return iter(self._numbers)

    def __len__(self) -> int:
        """How many trials."""
        return len(self._numbers)

    def __contains__(self, trial_id: object) -> bool:
        """Whether a trial has a row."""
        return trial_id in self._numbers

    def unfilled(self, trial_id: str) -> StoredRow:
        """The latest attempt at a trial with what its own file holds alone: what a later attempt may take over."""
        return self._row(self.attempts.unfilled, trial_id)

    def _row(self, attempts: Attempts, trial_id: str) -> StoredRow:
        number, count = self._numbers[trial_id], len(attempts)
        return attempts[number] if number < count else self._added[number - count]

    def add(self, rows: Iterable[StoredRow]) -> None:
        """Take rows that have been stored since."""
        count = len(self.attempts)
        for row in rows:
            number = self._numbers.get(row.trial_id, -1)
            if number >= count:
                self._added[number - count] = row
            else:
                self._numbers[row.trial_id] = count + len(self._added)
                self._added.append(row)

    def state(self, trial_id: str) -> TrialState | None:
        """How the latest attempt at a trial ended; None where there is none. Quicker than to ask the row."""
        number = self._numbers.get(trial_id)
        if number is None:
            return None
        return self._states[number] if number < len(self._states) else self[trial_id].state

    def column(self, name: str) -> list[Any]:
        """A column of the row of each trial; meant for columns of small values."""
        return [value for (value,) in self.values_of([name])]

    def values_of(self, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """Some columns of the row of each trial, as its fields have them; meant for columns of small values."""
        table = self.attempts.columns(list(names))
        columns = [_as_fields(name, table[name]) for name in names]
        count = len(self.attempts)
        for number in self._numbers.values():
            if number < count:
                yield tuple([column[number] for column in columns])
            else:
                row = self._added[number - count]
                yield tuple([getattr(row, name) for name in names])

    def packed(self, name: str) -> Iterator[bytes | None]:
        """A column of bytes, such as ``outcomes``, of the row of each trial; it is not kept."""
        wanted, count = self.numbers, len(self.attempts)
        chunks = (table[name].to_pylist() for table in self.attempts.chunks([name], wanted))
        stored: dict[int, Any] = dict(zip(wanted, chain.from_iterable(chunks), strict=True))
        for number in self._numbers.values():
            added = self._added[number - count] if number >= count else None
            yield stored[number] if added is None else added.cells.value(name, added.number)

    def table(self) -> pa.Table:
        """All columns of the row of each trial, in the order they finished; of rows that were not added."""
        return pa.concat_tables([SCHEMA.empty_table(), *self.attempts.chunks(SCHEMA.names, self.numbers)])

    def only(self, trial_ids: Iterable[str]) -> LatestRows:
        """The rows of some trials alone, copied into memory; of rows that were not added."""
        numbers = sorted(self._numbers[each] for each in trial_ids if each in self._numbers)
        table = pa.concat_tables([SCHEMA.empty_table(), *self.attempts.chunks(SCHEMA.names, numbers)])
        return Attempts.of(table).latest()

    def complete_score(self, trial_id: str, metric: str) -> float | None:
        """A score of a trial that is complete, else None. Quicker than to ask the row."""
        if self.state(trial_id) is not TrialState.COMPLETE:
            return None
        number = self._numbers[trial_id]
        if number >= len(self._states):
            return self[trial_id].score(metric)
        if metric not in self._scores:
            self._scores[metric] = self.attempts.columns([metric])[metric].to_pylist()
        return self._scores[metric][number]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the latest attempts among all, ascending; of rows that were not added."""
        return sorted(number for number in self._numbers.values() if number < len(self.attempts))


def _order_of(keys: pa.Table) -> list[Any]:
    """Numbers of rows in the order in which they finished, each attempt once."""
    order = pc.sort_indices(keys, sort_keys=_ORDER)  # numbers are sorted, not rows
    return _without_copies(keys, order).to_pylist()


def _without_copies(keys: pa.Table, order: pa.Array[Any]) -> pa.Array[Any]:
    """Numbers of rows in their order, each attempt once: a file that somebody has copied holds rows a second time."""
    same: Any = None  # whether a row equals the one before it
    for name in _KEYS:
        column = keys[name].take(order)
        as_before = pc.equal(column[1:], column[:-1])
        same = as_before if same is None else pc.and_(same, as_before)
        if not pc.any(same).as_py():
            return order
    first = [0, *(number + 1 for number, copied in enumerate(same.to_pylist()) if not copied)]
    return order.take(indices_of(np.array(first)))


def _as_fields(name: str, column: pa.ChunkedArray[Any]) -> list[Any]:
    """A column's values as the fields of rows have them."""
    if name == "clips":
        return list(clips_in(column))
    if name == "state":
        return [TrialState(state) for state in column.to_pylist()]
    if pa.types.is_timestamp(column.type):
        return [None if each is None else time_of(each) for each in column.cast(pa.int64()).to_pylist()]
    return column.to_pylist()


def plain_rows(rows: Sequence[StoredRow]) -> Iterator[Record]:
    """``jsonable`` of many rows, in a tenth of the time where they lie in one table."""
    for first in range(0, len(rows), CHUNK_ROWS):
        chunk = rows[first : first + CHUNK_ROWS]
        cells = chunk[0].cells
        if isinstance(cells, Stack) and all(row.cells is cells for row in chunk):
            yield from _plain(cells.take(SCHEMA.names, [row.number for row in chunk]))
        else:
            yield from map(jsonable, chunk)


def _plain(table: pa.Table) -> Iterator[Record]:
    """The rows of a table, with every value as JSON has it."""
    counts = table["n_examples"].to_pylist()
    columns: dict[str, Iterable[Any]] = {
        "clips": ([clip_record(clip) for clip in clips] for clips in clips_in(table["clips"])),
        "outcomes": starmap(outcomes_as_text, zip(table["outcomes"].to_pylist(), counts, strict=True)),
        **{name: map(in_base64, table[name].to_pylist()) for name in PACKED},
        **{name: map(finite_of, table[name].to_pylist()) for name in OF_BLOCKS},
    }
    for field in SCHEMA:
        if pa.types.is_timestamp(field.type):
            times = table[field.name].cast(pa.int64()).to_pylist()
            columns[field.name] = (None if time is None else time_of(time).isoformat() for time in times)
    values = [columns[name] if name in columns else table[name].to_pylist() for name in SCHEMA.names]
    for row in zip(*values, strict=True):
        yield dict(zip(SCHEMA.names, row, strict=True))


def _latest_numbers(attempts: Attempts) -> tuple[dict[str, int], list[TrialState]]:
    """By trial the number of its latest attempt, of equal ones the first; and the state of every attempt."""
    table = attempts.columns(("trial_id", "state", "attempt"))
    trial_ids: list[Any] = table["trial_id"].to_pylist()
    of_name = {state.value: state for state in TrialState}
    states = [of_name[str(name)] for name in table["state"].to_pylist()]
    complete = np.array([state is TrialState.COMPLETE for state in states])
    attempt = np.array(table["attempt"].to_pylist())  # to_numpy would load pandas
    position = np.arange(len(trial_ids))
    ascending = np.lexsort((-position, attempt, complete)).tolist()
    numbers = dict.fromkeys(trial_ids, 0)  # so that trials keep the order of their first attempts
    numbers.update((trial_ids[number], number) for number in ascending)
    return numbers, states
