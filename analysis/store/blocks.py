"""Rows of several files as one table, of which a column is read when somebody asks for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from clipsweep.analysis.row.check_rows import CHECKED_WITH
from clipsweep.analysis.row.columns import ArrowCells
from clipsweep.analysis.row.row import SCHEMA
from clipsweep.analysis.store.part import OpenPart, refuse_faults

GROUPS_KEPT = 64  # columns of a row group, the last that were read of a file: a row has some 30
FIRST = ("trial_id", "state", "attempt", "split", "accuracy", "nll", "finished_at")  # read of every file, at once


class Block(ABC):
    """Rows that lie together.

    Attributes:
        n_rows: How many.
    """

    n_rows: int

    @abstractmethod
    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all its rows, kept from then on."""

    @abstractmethod
    def value(self, name: str, number: int) -> Any:
        """One cell, as plain Python."""

    @abstractmethod
    def take(self, names: Sequence[str], numbers: Sequence[int]) -> pa.Table:
        """Some columns of some rows, kept no longer than the last of them; neighbours should be asked for together."""

    @abstractmethod
    def table(self, names: Sequence[str] = SCHEMA.names) -> pa.Table:
        """All columns of all its rows, or some; not kept."""


class MemoryBlock(Block):
    """Rows in memory."""

    def __init__(self, table: pa.Table) -> None:
        """Take a table with the columns of ``SCHEMA``."""
        self._table = table
        self._cells = ArrowCells(table)
        self.n_rows = table.num_rows

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns; nothing is copied."""
        return self._table.select(list(names))

    def value(self, name: str, number: int) -> Any:
        """One cell."""
        return self._cells.value(name, number)

    def take(self, names: Sequence[str], numbers: Sequence[int]) -> pa.Table:
        """Some columns of some rows."""
        return _take(self._table.select(list(names)), numbers)

    def table(self, names: Sequence[str] = SCHEMA.names) -> pa.Table:
        """All columns, or some."""
        return self._table.select(list(names))


class FileBlock(Block):
    """Rows of one large file. It stays open, so that they can be read although it is merged, and removed, meanwhile."""

    def __init__(self, part: OpenPart) -> None:
        """Take an open file of which ``FIRST`` has been read, and checked."""
        self._part = part
        self._whole = {name: ArrowCells(part.first.select([name])) for name in FIRST}
        self._groups: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()
        self._first = [0, *accumulate(part.group_sizes)]
        self.n_rows = self._first[-1]

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows; each is read once."""
        missing = [name for name in names if name not in self._whole]
        if missing:
            table = self._read(missing)
            self._whole |= {name: ArrowCells(table.select([name])) for name in missing}
        kept = [self._whole[name].table.column(0) for name in names]
        return pa.Table.from_arrays(kept, schema=pa.schema([SCHEMA.field(name) for name in names]))

    def value(self, name: str, number: int) -> Any:
        """One cell; its column is read of all rows of its row group."""
        if name in self._whole:
            return self._whole[name].value(name, number)
        group = self._group_of(number)
        return ArrowCells(self._group(name, group)).value(name, number - self._first[group])

    def take(self, names: Sequence[str], numbers: Sequence[int]) -> pa.Table:
        """Some columns of some rows, by row groups."""
        found = []
        for group, members in _runs(numbers, self._group_of):
            read = [self._group(name, group).column(0) for name in names]
            table = pa.Table.from_arrays(read, schema=pa.schema([SCHEMA.field(name) for name in names]))
            found.append(_take(table, [number - self._first[group] for number in members]))
        return pa.concat_tables(found)

    def table(self, names: Sequence[str] = SCHEMA.names) -> pa.Table:
        """All columns, or some, read anew."""
        return self._read(names)

    def _read(self, names: Sequence[str], group: int | None = None) -> pa.Table:
        """Read some columns, and see that they can be: some can only be told with others."""
        others = {other for name in names for other in CHECKED_WITH.get(name, ())} - {*names}
        read = self._part.read([*names, *sorted(others)], group)
        return refuse_faults(self._part.path, read).select(list(names))

    def _group_of(self, number: int) -> int:
        return bisect_right(self._first, number) - 1

    def _group(self, name: str, group: int) -> pa.Table:
        """A column of one row group; the last few are kept."""
        key = name, group
        if key not in self._groups:
            if len(self._groups) >= GROUPS_KEPT:
                self._groups.popitem(last=False)
            self._groups[key] = self._read([name], group)
        self._groups.move_to_end(key)
        return self._groups[key]


class Stack:
    """Blocks on top of each other: their rows have one number each."""

    def __init__(self, blocks: Iterable[Block]) -> None:
        """Take blocks in their order."""
        self._blocks = [block for block in blocks if block.n_rows]
        self._first = [0, *accumulate(block.n_rows for block in self._blocks)]
        self.n_rows = self._first[-1]

    def over(self, wrap: Callable[[Block], Block]) -> Stack:
        """The same rows, with something put over each block."""
        return Stack(map(wrap, self._blocks))

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all rows."""
        schema = pa.schema([SCHEMA.field(name) for name in names])
        none = pa.Table.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
        return pa.concat_tables([none, *(block.columns(names) for block in self._blocks)])

    def value(self, name: str, number: int) -> Any:
        """One cell, as plain Python."""
        place = self._block_of(number)
        return self._blocks[place].value(name, number - self._first[place])

    def take(self, names: Sequence[str], numbers: Sequence[int]) -> pa.Table:
        """Some columns of some rows, in the order asked for; not kept."""
        found = [
            self._blocks[place].take(names, [number - self._first[place] for number in members])
            for place, members in _runs(numbers, self._block_of)
        ]
        return pa.concat_tables(found)

    def _block_of(self, number: int) -> int:
        return bisect_right(self._first, number) - 1


def _runs(numbers: Sequence[int], place_of: Any) -> Iterator[tuple[int, list[int]]]:
    """Neighbouring numbers that lie in one place, together with the place."""
    run: list[int] = []
    place = -1
    for number in numbers:
        here = place_of(number)
        if run and here != place:
            yield place, run
            run = []
        place = here
        run.append(number)
    if run:
        yield place, run


def _take(table: pa.Table, numbers: Sequence[int]) -> pa.Table:
    """Some rows; a slice where they follow each other."""
    first, count = numbers[0], len(numbers)
    if numbers[-1] - first == count - 1 and list(numbers) == list(range(first, first + count)):
        return table.slice(first, count)
    return table.take(indices_of(np.asarray(numbers)))


def indices_of(numbers: NDArray[Any]) -> pa.Array[Any]:
    """Row numbers as Arrow takes them; pyarrow's own conversion loads pandas."""
    wide = numbers.astype("<i8")
    return pa.Array.from_buffers(pa.int64(), len(wide), [None, pa.py_buffer(wide.tobytes())])
