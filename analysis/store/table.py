"""The results table: Parquet files that are written whole, never edited, merged when they are many, and read as one."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from clipsweep.analysis.row.arrays import make_table
from clipsweep.analysis.row.check_rows import difference
from clipsweep.analysis.row.row import SCHEMA, Record, StoredRow
from clipsweep.analysis.store.fence import Fence, look
from clipsweep.analysis.store.gather import Piece, read_pieces, stack_of
from clipsweep.analysis.store.part import Part, read_notes, read_part, write_part
from clipsweep.analysis.store.part_names import age_of, part_name
from clipsweep.analysis.store.rows import Attempts, LatestRows
from clipsweep.trials.base.errors import DamagedFileError, StoreError

MERGED_FILES = 64  # of one process, before they are merged
SMALL_BYTES, MERGED_BYTES = 2**23, 2**28  # of a file that is merged, and of what is merged into one


class ResultsTable:
    """Rows of one study, in a folder of Parquet files. One process appends and merges; any may read."""

    def __init__(self, folder: Path, make_notes: Callable[[], Mapping[str, str]] = dict) -> None:
        """Open the table; nothing is created before the first row, and nothing is read before it is asked for.

        Args:
            folder: Of its files.
            make_notes: Gives what each file that is written says of the study; asked before the first is.
        """
        self._folder = folder
        self._make_notes = make_notes
        self._sequence = itertools.count()
        self._since_merge = itertools.count(1)
        self._writer = f"{os.getpid():x}{uuid.uuid4().hex[:8]}"
        self._token = 0
        self._check: Callable[[], None] = _nobody_else_writes
        self._fence = Fence()  # which files count
        self._is_told = True  # whether other readers know of it
        self._pieces: dict[str, Piece] = {}  # by file; files never change, so each is read once
        self._gathered: set[str] = set()  # files whose rows are in the attempts below
        self._belonging: set[str] = set()  # files whose rows are known to be of one study
        self._attempts = Attempts.none()

    def take_over(self, token: int, check: Callable[[], None]) -> None:
        """Write from now on, under a claim on the study. Files that are there and count go on counting.

        What the holder of an earlier claim puts into place from now on does not: for this process at once, for others
        as soon as this one has written something. Nothing is written before that, so that it may be cut off anywhere.

        Args:
            token: Number of the claim, which has been made; higher than that of any file here.
            check: Raises where somebody has made a later one.

        Raises:
            StoreError: The folder cannot be read.
        """
        names, fence = look(self._folder, self._fence)
        accepted = frozenset(filter(fence.counts, names))
        self._token, self._check = token, check
        self._fence = Fence(token=token, accepted=accepted)
        self._is_told = token == 1 and not accepted  # then there is nothing to tell others from

    def check(self) -> None:
        """See that nobody has taken the study over, before another of its files is written.

        Raises:
            TakenOverError: Somebody has.
        """
        self._check()

    def set_aside(self) -> list[str]:
        """Files whose rows do not count, as they were written after the study had been taken over from their writer."""
        names, fence = look(self._folder, self._fence)
        return [name for name in names if not fence.counts(name)]

    def append(self, records: Sequence[Record]) -> list[StoredRow]:
        """Write rows as one new file; when this returns they are on disk. Many files of its own are merged before.

        Returns:
            The rows as they are stored.

        Raises:
            TakenOverError: Another process holds the study. The rows may be on disk, but do not count.
        """
        table = make_table(records, SCHEMA)
        self._check()
        if next(self._since_merge) > MERGED_FILES:
            self.merge(again=False)
        self._write(Part(table, notes=self._notes))
        self._check()  # what was in place before a check that passes is seen by whoever takes over later
        return list(Attempts.of(table))

    def read(self) -> Attempts:
        """All rows in the order they finished. Of files that were read before nothing is read again.

        Raises:
            StoreError: A file is damaged, or was written by a newer clipsweep.
        """
        if self._gathered != set(self.files()):
            self._pieces = self._read_pieces()
            self._attempts = Attempts(stack_of(self._counting().values()))
            self._gathered = set(self._pieces)
        return self._attempts

    def missing_files(self) -> list[str]:
        """Files that were read or written here and are there no more, though nothing replaces them.

        Raises:
            TakenOverError: Another process holds the study, and has merged them.
        """
        missing = sorted(self._pieces.keys() - set(self.files()))
        if missing:
            self._check()
        return missing

    def write_instead(self, name: str, rows: pa.Table) -> None:
        """Write a new file that stands for another: the rows of that one count no more."""
        self._check()
        self._write(Part(rows, read_part(self._folder / name).replaces | {name}, self._notes))

    def notes(self) -> dict[str, str]:
        """What its newest file that says something of the study says; empty where none does.

        Raises:
            StoreError: A file is damaged.
        """
        newest_first = sorted(self.files(), key=age_of, reverse=True)
        found = (read_notes(self._folder / name) for name in newest_first)
        return next(filter(None, found), {})

    def latest(self) -> LatestRows:
        """The latest attempt at each trial, by trial identity; a complete one always wins."""
        return self.read().latest()

    def merge(self, *, again: bool = True) -> None:
        """Put the rows of small files into one, and remove those.

        The new file is whole before one is removed, and it names those that it replaces. So nothing is lost or counted
        twice whenever this is cut off, and a reader who finds a file gone reads the new one. Whoever takes the study
        over counts the new file too, as it is in place before a check that passes; so it does no harm
        if this process is stopped after the check, and removes the others when it wakes.

        Args:
            again: Whether files are merged that were merged before.

        Raises:
            StoreError: A file is damaged.
            TakenOverError: Another process holds the study; nothing is removed.
        """
        self._since_merge = itertools.count(1)
        self._pieces = self._read_pieces()
        self._remove_replaced()  # before what replaces them is itself replaced
        counting = self._counting()
        self._merge_small([name for name, piece in counting.items() if again or not piece.replaces], SMALL_BYTES)

    def compact(self) -> None:
        """Put the rows of all files into as few as are easily read: ``merge``, until nothing is left to be merged.

        Raises:
            StoreError: A file is damaged.
        """
        self.merge()
        while self._merge_small(list(self._counting()), MERGED_BYTES // 2):
            pass

    def _merge_small(self, names: Sequence[str], limit: int) -> bool:
        """Merge files below a size, as many as make one file of a size that is easily read; whether there were any."""
        counting = self._counting()
        merged = self._small(names, limit)
        if len(merged) > 1:
            tables = [counting[name].table() for name in merged]
            self._write(Part(pa.concat_tables(tables), frozenset(merged), self._notes))
        self._remove_replaced()
        return len(merged) > 1

    def _remove_replaced(self) -> None:
        """Remove the files whose rows others hold, which are in place before the check."""
        replaced = set(self._pieces) - set(self._counting())
        if replaced:
            self._check()
        for name in replaced:
            (self._folder / name).unlink(missing_ok=True)
            del self._pieces[name]

    def _small(self, names: Sequence[str], limit: int) -> list[str]:
        """Those of some files that are small, as many as make one file of a size that is easily read."""
        sizes = {name: (self._folder / name).stat().st_size for name in names}
        small = [name for name in names if sizes[name] < limit]
        together = itertools.accumulate(sizes[name] for name in small)
        return [name for name, size in zip(small, together, strict=True) if size < MERGED_BYTES]

    @cached_property
    def _notes(self) -> Mapping[str, str]:
        """What each of its files says of the study."""
        return self._make_notes()

    def _newest_claim(self) -> int:
        """The claim under which rows are written where none is held, as outside a study, so that they count."""
        return look(self._folder, self._fence)[1].token

    def _write(self, part: Part) -> None:
        """Write a new file whole, or none; before the first one others are told which earlier ones count."""
        if not self._is_told:
            self._fence.write(self._folder)
            self._is_told = True
        path = self._folder / part_name(self._token or self._newest_claim(), self._writer, next(self._sequence))
        try:
            write_part(path, part)
        except OSError:
            with suppress(OSError):  # it may be in place: whoever is told that it is not writes its rows again
                path.unlink(missing_ok=True)
            raise
        self._pieces[path.name] = Piece.of(part)

    def files(self) -> list[str]:
        """The names of the files that are there and count."""
        names, self._fence = look(self._folder, self._fence)
        return list(filter(self._fence.counts, names))

    def _counting(self) -> dict[str, Piece]:
        """The files that were read, without those that others replace."""
        replaced = {name for piece in self._pieces.values() for name in piece.replaces}
        return {name: piece for name, piece in self._pieces.items() if name not in replaced}

    def _read_pieces(self) -> dict[str, Piece]:
        """Every file that is there; all are listed anew where one went away meanwhile, into a merged one."""
        while True:
            names = self.files()
            known = {name: self._pieces[name] for name in names if name in self._pieces}
            try:
                new = dict(read_pieces(self._folder, [name for name in names if name not in known], len(known)))
            except StoreError:
                if all(os.path.lexists(self._folder / name) for name in names):
                    raise
            else:
                found = known | new
                return {name: found[name] for name in names}

    def refuse_others(self, belongs: Mapping[str, Collection[str]]) -> None:
        """Refuse rows of another model or task among those that were read.

        Args:
            belongs: By column the values that it may hold.

        Raises:
            DamagedFileError: The file, and how it differs.
        """
        new = {name: piece for name, piece in self._counting().items() if name not in self._belonging}
        for block in {id(piece.block): piece.block for piece in new.values()}.values():
            if difference(block.table(list(belongs)), belongs) is None:
                continue
            for name, piece in new.items():
                different = difference(piece.table(list(belongs)), belongs)
                if different is not None:
                    raise DamagedFileError(
                        f"{self._folder / name} holds rows of another study ({different}). Move it away: they are not "
                        f"counted."
                    )
        self._belonging |= new.keys()


def _nobody_else_writes() -> None:
    """What is checked where no claim is held: a table that is made outside a study."""
