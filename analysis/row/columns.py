"""Columns of a stored row: the name, the Arrow type and the Python type of each stand in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, Self, TypeVar, overload

import pyarrow as pa

T = TypeVar("T")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def time_of(microseconds: int) -> datetime:
    """A time as a table holds it, as Python does."""
    return EPOCH + timedelta(microseconds=microseconds)


class Cells(Protocol):
    """Where the values of rows lie."""

    def value(self, name: str, number: int) -> Any:
        """The value of a column in one row, as plain Python."""


class ArrowCells:
    """The cells of an Arrow table. A value becomes Python when it is asked for, and not before."""

    def __init__(self, table: pa.Table) -> None:
        """Take a table; nothing but times is copied, of which pyarrow would load pandas to make Python's."""
        self.table = table
        self._times = {field.name for field in table.schema if pa.types.is_timestamp(field.type)}
        self._columns = {
            name: column.cast(pa.int64()) if name in self._times else column
            for name, column in zip(table.column_names, table.columns, strict=True)
        }

    def value(self, name: str, number: int) -> Any:
        """One cell."""
        value = self._columns[name][number].as_py()
        return time_of(value) if name in self._times and value is not None else value


class RecordCells:
    """The cells of one row that is not in a table yet."""

    def __init__(self, record: Mapping[str, Any]) -> None:
        """Take the row's values by column; a column that is missing is null."""
        self._record = record

    def value(self, name: str, number: int) -> Any:  # noqa: ARG002 - there is one row
        """One cell."""
        return self._record.get(name)


class CellAddress(Protocol):
    """What a column is read from: one row of some cells."""

    @property
    def cells(self) -> Cells:
        """Where the row's values lie."""

    @property
    def number(self) -> int:
        """Which row it is there."""


class Column(Generic[T]):
    """One column, as a field of a row: read from a row it is the row's value there.

    Attributes:
        name: In the file; the field's own name without a leading underscore.
        arrow: Its Arrow type.
        means: What it holds, as a sentence.
        unit: Of its values; empty where they have none.
    """

    def __init__(
        self, arrow: pa.DataType, means: str, *, unit: str = "", convert: Callable[[Any], T] | None = None
    ) -> None:
        """Describe a column.

        Args:
            arrow: Its type in the file.
            means: What it holds, as a sentence; code stands in backquotes.
            unit: Of its values; empty where they have none.
            convert: Turns the plain value into the field's; None where they are the same.
        """
        self.name = ""
        self.arrow = arrow
        self.means = means
        self.unit = unit
        self._convert = convert

    @property
    def description(self) -> dict[bytes | str, bytes | str]:
        """What a file says of it, as metadata of the field."""
        told = {"description": self.means, "unit": self.unit}
        return {key: value for key, value in told.items() if value}

    def __set_name__(self, owner: type, name: str) -> None:
        """Take the field's name."""
        self.name = name.lstrip("_")

    @overload
    def __get__(self, row: None, owner: type) -> Self: ...

    @overload
    def __get__(self, row: CellAddress, owner: type) -> T: ...

    def __get__(self, row: CellAddress | None, owner: type) -> Self | T:
        """The column itself, asked of the class; its value, asked of a row."""
        if row is None:
            return self
        value = row.cells.value(self.name, row.number)
        return value if self._convert is None else self._convert(value)
