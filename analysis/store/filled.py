"""Columns that rows lack, filled from another table that has them by trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from clipsweep.analysis.row.row import SCHEMA
from clipsweep.analysis.store.blocks import Block
from clipsweep.trials.spec.result import TrialState

KEYS = ("trial_id", "state")
SCORED = {state.value for state in TrialState if state.has_scores}


class Filling:
    """What rows are filled with; read when one of its columns is first asked for.

    Attributes:
        names: Columns of ``SCHEMA`` that it has.
    """

    def __init__(self, names: Sequence[str], read: Callable[[], pa.Table]) -> None:
        """Take the columns, and what reads them with ``trial_id``, a row for each trial."""
        self.names = frozenset(names)
        self._read = read

    @cached_property
    def _table(self) -> pa.Table:
        return self._read()

    @cached_property
    def _numbers(self) -> dict[str, int]:
        """By trial the number of its row."""
        return {str(trial_id): number for number, trial_id in enumerate(self._table["trial_id"].to_pylist())}

    def value(self, name: str, trial_id: str) -> Any:
        """A cell of a trial; None where it has none."""
        number = self._numbers.get(trial_id)
        return None if number is None else self._table[name][number].as_py()

    def into(self, table: pa.Table, keys: pa.Table) -> pa.Table:
        """Fill the columns of rows that have scores and lack them.

        Args:
            table: Columns of ``SCHEMA``.
            keys: The columns ``KEYS`` of the same rows.
        """
        trials = zip(*(keys[name].to_pylist() for name in KEYS), strict=True)
        numbers = [self._numbers.get(trial_id) if state in SCORED else None for trial_id, state in trials]
        found = pa.array(numbers, pa.int64())
        for place, name in enumerate(table.column_names):
            if name in self.names:
                table = table.set_column(
                    place, SCHEMA.field(name), pc.coalesce(table[name], self._table[name].take(found))
                )
        return table


class FilledBlock(Block):
    """Rows of a block, filled."""

    def __init__(self, block: Block, filling: Filling) -> None:
        """Take the block; nothing of it is read."""
        self._block = block
        self._filling = filling
        self.n_rows = block.n_rows

    def columns(self, names: Sequence[str]) -> pa.Table:
        """Some columns of all its rows."""
        table = self._block.columns(names)
        return self._filling.into(table, self._block.columns(KEYS)) if self._is_asked(names) else table

    def value(self, name: str, number: int) -> Any:
        """One cell."""
        value = self._block.value(name, number)
        if value is not None or not self._is_asked([name]) or self._block.value("state", number) not in SCORED:
            return value
        return self._filling.value(name, self._block.value("trial_id", number))

    def take(self, names: Sequence[str], numbers: Sequence[int]) -> pa.Table:
        """Some columns of some rows."""
        return self._with_keys(names, lambda asked: self._block.take(asked, numbers))

    def table(self, names: Sequence[str] = SCHEMA.names) -> pa.Table:
        """All columns of all rows, or some."""
        return self._with_keys(names, self._block.table)

    def _with_keys(self, names: Sequence[str], read: Callable[[Sequence[str]], pa.Table]) -> pa.Table:
        """Read some columns with those that tell trials apart, and fill them."""
        if not self._is_asked(names):
            return read(names)
        table = read([*names, *(key for key in KEYS if key not in names)])
        return self._filling.into(table, table).select(list(names))

    def _is_asked(self, names: Sequence[str]) -> bool:
        return not self._filling.names.isdisjoint(names)
