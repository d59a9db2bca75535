"""Many files read into few blocks: small ones whole and together, large ones column by column when it is needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from clipsweep.analysis.row.check_rows import find_problems
from clipsweep.analysis.row.row import SCHEMA
from clipsweep.analysis.store.blocks import FIRST, Block, FileBlock, MemoryBlock, Stack
from clipsweep.analysis.store.part import OpenPart, Part, read_part, refuse_faults
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.os_words import worded_as

WHOLE_BYTES = 2**14  # of a file that is read whole: of a smaller one, opening it is most of the work
TOGETHER_FILES, TOGETHER_BYTES = 1024, 2**27  # that are put into one block
OPEN_FILES = 512  # at most, whatever their number: processes may usually have 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The rows of one file.

    Attributes:
        block: Where they lie.
        first: The number of the first of them in it.
        count: How many.
        replaces: As a part has it.
    """

    block: Block
    first: int = 0
    count: int
    replaces: frozenset[str]

    @classmethod
    def of(cls, part: Part) -> Piece:
        """Rows in memory."""
        return cls(block=MemoryBlock(part.rows), count=part.rows.num_rows, replaces=part.replaces)

    def table(self, names: Sequence[str] = SCHEMA.names) -> pa.Table:
        """All columns, or some."""
        return self.block.table(names).slice(self.first, self.count)


def read_pieces(folder: Path, names: Iterable[str], n_open: int = 0) -> Iterator[tuple[str, Piece]]:
    """Read files; each comes with its name, in any order.

    Args:
        folder: Where they lie.
        names: Of the files.
        n_open: How many files are open already.

    Raises:
        StoreError: One is damaged, gone, or was written by a newer clipsweep.
    """
    small: dict[Path, Part] = {}
    large: list[OpenPart] = []
    n_bytes = 0
    for name in names:
        path = folder / name
        with worded_as(StoreError, f"reading {path}"):
            size = path.lstat().st_size  # a link that leads nowhere is told of where it is read
        if size >= WHOLE_BYTES and n_open < OPEN_FILES:
            n_open += 1
            large.append(OpenPart(path, FIRST))
            continue
        small[path] = read_part(path)
        n_bytes += size
        if len(small) >= TOGETHER_FILES or n_bytes >= TOGETHER_BYTES:
            yield from _together(small)
            small, n_bytes = {}, 0
    yield from _together(small)
    yield from _one_by_one(large)


def _together(parts: Mapping[Path, Part]) -> Iterator[tuple[str, Piece]]:
    """Rows of several files in one block: a table of few large pieces is small, and quick to sort and to check."""
    if not parts:
        return
    rows = _refuse_faults({path: part.rows for path, part in parts.items()}).combine_chunks()
    block, first = MemoryBlock(rows), 0
    for path, part in parts.items():
        count = part.rows.num_rows
        yield path.name, Piece(block=block, first=first, count=count, replaces=part.replaces)
        first += count


def _one_by_one(parts: Sequence[OpenPart]) -> Iterator[tuple[str, Piece]]:
    """Rows of large files, each in a block of its own."""
    if not parts:
        return
    _refuse_faults({part.path: part.first for part in parts})
    for part in parts:
        block = FileBlock(part)
        yield part.path.name, Piece(block=block, count=block.n_rows, replaces=part.replaces)


def _refuse_faults(tables: Mapping[Path, pa.Table]) -> pa.Table:
    """``refuse_faults`` of several files at once, put together: to check many small tables takes long."""
    rows = pa.concat_tables(tables.values())
    if find_problems(rows):
        for path, table in tables.items():
            refuse_faults(path, table)
    return rows


def stack_of(pieces: Iterable[Piece]) -> Stack:
    """All their rows; a block of which all pieces are wanted is taken as it is."""
    return Stack(_blocks(pieces))


def _blocks(pieces: Iterable[Piece]) -> Iterator[Block]:
    by_block: dict[int, list[Piece]] = {}
    for piece in pieces:
        by_block.setdefault(id(piece.block), []).append(piece)
    for together in by_block.values():
        block = together[0].block
        if sum(piece.count for piece in together) == block.n_rows:
            yield block
        else:
            yield MemoryBlock(pa.concat_tables([piece.table() for piece in together]).combine_chunks())
