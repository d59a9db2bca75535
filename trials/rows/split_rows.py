"""Rows of one split with the place of each: what was read, and where in it a row stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsweep.trials.rows.values import DataRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What rows were read from, as ``task show`` tells it.

    Attributes:
        source: Folder, or hub dataset with its configuration and revision.
        split: Split of the source.
        name: File below the folder; of a hub dataset the split.
        rows: How many rows it holds.
    """

    source: str
    split: str
    name: str
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFile:
    """Rows of one file, or of one split of a hub dataset.

    Attributes:
        place: Its path; of a hub dataset the name.
        name: As ``Origin`` has it.
        unit: What ``numbers`` count: lines from 1, or rows from 0.
        numbers: Where each row stands.
        rows: In their order.
    """

    place: str
    name: str
    unit: str
    numbers: Sequence[int]
    rows: Sequence[DataRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRows:
    """Rows of one split.

    Attributes:
        source: Folder, or hub dataset with its configuration and revision.
        split: As the source spells it.
        files: What holds its rows, in order.
    """

    source: str
    split: str
    files: Sequence[RowFile]

    @property
    def rows(self) -> list[DataRow]:
        """All rows, in order; a column that only other rows have is None."""
        columns: dict[str, None] = {}
        for file in self.files:
            for row in file.rows:
                columns.update(dict.fromkeys(row))
        return [{**columns, **row} for file in self.files for row in file.rows]

    @property
    def origins(self) -> list[Origin]:
        """What was read."""
        return [
            Origin(source=self.source, split=self.split, name=file.name, rows=len(file.rows)) for file in self.files
        ]

    def where(self, number: int) -> str:
        """File and line of a row of the split, rows counted from 0."""
        for file in self.files:
            if number < len(file.rows):
                return f"{file.place}, {file.unit} {file.numbers[number]}"
            number -= len(file.rows)
        raise IndexError(number)
