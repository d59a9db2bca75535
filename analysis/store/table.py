"""The results table: Parquet files that are written whole, never edited, and read as one."""

from __future__ import annotations

import itertools
import os
import uuid
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.store.row import SCHEMA, SCHEMA_VERSION, Record, StoredRow
from clipsweep.analysis.store.rows import Attempts, LatestRows
from clipsweep.trials.base.errors import StoreError
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.base.os_words import word_os_error


class ResultsTable:
    """Rows of one study, in a folder of Parquet files. One process appends; any may read."""

    def __init__(self, folder: Path) -> None:
        """Open the table; nothing is created before the first row, and nothing is read before it is asked for."""
        self._folder = folder
        self._sequence = itertools.count()
        self._writer = f"{os.getpid():x}{uuid.uuid4().hex[:8]}"
        self._parts: dict[str, pa.Table] = {}  # by file; files never change, so each is read once
        self._gathered: set[str] = set()  # files whose rows are in the attempts below
        self._attempts = Attempts.none()

    def append(self, records: Sequence[Record]) -> list[StoredRow]:
        """Write rows as one new file; when this returns they are on disk.

        Returns:
            The rows as they are stored.
        """
        table = pa.Table.from_pylist(list(records), schema=SCHEMA)
        path = self._folder / f"part-{self._writer}-{next(self._sequence):06}.parquet"
        with whole_file(path) as draft:
            pq.write_table(table, draft)
        self._parts[path.name] = table
        return list(Attempts(table))

    def read(self) -> Attempts:
        """All rows in the order they finished. Of files that were read before nothing is read again.

        Raises:
            StoreError: A file is damaged, or was written by a newer clipsweep.
        """
        names = self._names()
        if self._gathered != set(names):
            self._parts = {name: self._parts[name] if name in self._parts else self._read_part(name) for name in names}
            self._attempts = Attempts(pa.concat_tables(self._parts.values())) if names else Attempts.none()
            self._gathered = set(names)
        return self._attempts

    def latest(self) -> LatestRows:
        """The latest attempt at each trial, by trial identity; a complete one always wins."""
        return self.read().latest()

    def _names(self) -> list[str]:
        """Files of rows; a folder that may not be read is no empty one."""
        try:
            return sorted(name for name in os.listdir(self._folder) if fnmatch(name, "part-*.parquet"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(word_os_error(error, f"reading {self._folder}")) from error

    def _read_part(self, name: str) -> pa.Table:
        """One file in today's columns: those that an older version did not write are null."""
        stored = read_whole(self._folder / name, SCHEMA_VERSION)
        there = set(stored.column_names)
        try:
            columns = [
                stored[field.name].cast(field.type) if field.name in there else pa.nulls(stored.num_rows, field.type)
                for field in SCHEMA
            ]
        except pa.ArrowException as error:
            raise StoreError(
                f"{self._folder / name} has a column of another type ({_reason(error)}). "
                f"Move it away and run the study again."
            ) from error
        return pa.Table.from_arrays(columns, schema=SCHEMA)


def read_whole(path: Path, version: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file of ours, or some of its columns.

    Args:
        path: The file; its column ``schema_version`` is read in any case.
        version: The newest schema version that is understood.
        columns: Which columns; None for all.

    Raises:
        StoreError: It is damaged, or was written by a newer clipsweep.
    """
    try:
        with pq.ParquetFile(path) as file:  # read_table would load pandas
            wanted = None if columns is None else [*columns, "schema_version"]
            table = file.read(columns=wanted, use_threads=False)  # for files as small as ours threads cost more
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(word_os_error(error, f"reading {path}")) from error
        raise StoreError(
            f"{path} is not a whole Parquet file ({_reason(error)}). Move it away and run the study again."
        ) from error
    if "schema_version" not in table.column_names:
        raise StoreError(f"{path} holds no rows of clipsweep: it has no column schema_version. Move it away.")
    versions: list[Any] = table["schema_version"].unique().to_pylist()
    newest = max(versions, default=version)
    if newest > version:
        raise StoreError(f"{path} has schema version {newest}; this clipsweep reads up to {version}. Upgrade it.")
    return table


def _reason(error: Exception) -> str:
    """The first line of what pyarrow says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
