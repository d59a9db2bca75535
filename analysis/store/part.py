"""One file of the results table: written whole, read in today's columns."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.row.check_rows import find_problems
from clipsweep.analysis.row.row import DESCRIBED, SCHEMA, SCHEMA_VERSION
from clipsweep.trials.base.errors import DamagedFileError, StoreError, WriteError, counted, first_line
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.base.os_words import word_os_error

OURS = "clipsweep."  # what keys of a file's metadata begin with that are ours
REPLACES = f"{OURS}replaces"
MEND = "Move it away and run the study again: what it held is made anew."
GROUP_ROWS = 16_384  # of a row group: what is read of a column to see one row of it
DESCRIBED_ROWS = 128  # from which on a file, as a merged one of any size, says what its columns hold
LARGE_ROWS = 4096  # from which on dictionaries and a slower compression are worth their time
OWN = {
    *("trial_id", "outcomes", "margins", "loglikelihoods", "tally", "log_path", "started_at", "finished_at", "seconds"),
}
REPEATED = [name for name in SCHEMA.names if name not in OWN]  # columns whose values occur again and again


@dataclass(frozen=True, slots=True)
class Part:
    """One file of rows.

    Attributes:
        rows: In today's columns.
        replaces: Names of the files whose rows it holds since they were merged; these count no more.
        notes: What it says of its study, by keys that begin with ``OURS``; not read back with the rows.
    """

    rows: pa.Table
    replaces: frozenset[str] = frozenset()
    notes: Mapping[str, str] = field(default_factory=dict)


def write_part(path: Path, part: Part) -> None:
    """Write a new file whole, in one piece. Its folder is made, but not the study's above it.

    A file of few rows gets no dictionaries and no second copy of its schema, with what its columns hold, and none gets
    statistics. Of a file of one row these were two thirds, and took as much of the time to read it; that copy alone has
    13 kB, and of 316 files of 64 rows it took 6 % of the time of ``status``. Merged files, which are few, have it.

    Raises:
        WriteError: The disk is full or can only be read, or the study's folder is gone.
    """
    described = bool(part.replaces) or len(part.rows) >= DESCRIBED_ROWS
    rows = pa.Table.from_arrays(part.rows.columns, schema=DESCRIBED if described else SCHEMA)
    notes = {**part.notes, **({REPLACES: json.dumps(sorted(part.replaces))} if part.replaces else {})}
    large: dict[str, Any] = {"compression": "zstd", "use_dictionary": REPEATED} if len(rows) >= LARGE_ROWS else {}
    options = {"use_dictionary": False, "write_statistics": False, "store_schema": described, **large}
    made = pa.BufferOutputStream()
    with pq.ParquetWriter(made, rows.schema, **options) as writer:
        writer.write_table(rows, row_group_size=GROUP_ROWS)
        if notes:
            writer.add_key_value_metadata(notes)
    try:
        with whole_file(path, within=path.parent.parent) as draft:
            draft.write_bytes(made.getvalue())
    except OSError as error:
        raise WriteError(
            f"{word_os_error(error, f'writing {path}')} What was stored before is whole; run the study again to go on."
        ) from error


class OpenPart:
    """One file that stays open, of which columns are read when they are asked for.

    Attributes:
        path: The file.
        replaces: As a part has it.
        group_sizes: Rows of each of its row groups.
        first: The columns that were wanted at once.
    """

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        """Open a file and read some columns.

        Args:
            path: The file.
            names: Columns that are wanted at once, as ``first``.

        Raises:
            StoreError: It is damaged, or was written by a newer clipsweep.
        """
        self.path = path
        with _naming_damage(path):
            self._file = pq.ParquetFile(path)
        meta = self._file.metadata
        self.group_sizes = [meta.row_group(number).num_rows for number in range(meta.num_row_groups)]
        self.replaces = _replaces(path, meta.metadata or {})
        first = self._read([*names, "schema_version"])
        _check_version(path, first, SCHEMA_VERSION)
        self.first = _in_todays_columns(path, first, names)

    def read(self, names: Sequence[str], group: int | None = None) -> pa.Table:
        """Some columns in today's types, of all rows or of one row group.

        Raises:
            StoreError: The file is damaged.
        """
        return _in_todays_columns(self.path, self._read(names, group), names)

    def _read(self, names: Sequence[str], group: int | None = None) -> pa.Table:
        columns = list(names)
        with _naming_damage(self.path):
            if group is None:
                return self._file.read(columns=columns, use_threads=False)
            return self._file.read_row_group(group, columns=columns, use_threads=False)


def read_part(path: Path) -> Part:
    """One file in today's columns: those that an older version did not write are null.

    Raises:
        StoreError: It is damaged, or was written by a newer clipsweep.
    """
    stored = read_whole(path, SCHEMA_VERSION)
    replaces = _replaces(path, stored.schema.metadata or {})
    return Part(_in_todays_columns(path, stored, SCHEMA.names), replaces)


def read_notes(path: Path) -> dict[str, str]:
    """What a file says of its study; empty of files of older versions. No row is read.

    Raises:
        StoreError: It is damaged.
    """
    with _naming_damage(path):
        metadata = pq.read_metadata(path).metadata or {}
    own = {key.decode(errors="replace"): value.decode(errors="replace") for key, value in metadata.items()}
    return {key: value for key, value in own.items() if key.startswith(OURS) and key != REPLACES}


def _in_todays_columns(path: Path, stored: pa.Table, names: Sequence[str]) -> pa.Table:
    """Columns of a file in today's types."""
    there = set(stored.column_names)
    schema = SCHEMA if len(names) == len(SCHEMA) else pa.schema([SCHEMA.field(name) for name in names])
    if stored.schema.equals(schema):
        return stored.replace_schema_metadata(None)
    try:
        columns = [
            stored[field.name].cast(field.type) if field.name in there else pa.nulls(stored.num_rows, field.type)
            for field in schema
        ]
    except pa.ArrowException as error:
        raise DamagedFileError(f"{path} has a column of another type ({first_line(error)}). {MEND}") from error
    return pa.Table.from_arrays(columns, schema=schema)


def _replaces(path: Path, metadata: Mapping[bytes, bytes]) -> frozenset[str]:
    """Names of the files that a file replaces, as its metadata has them."""
    try:
        names = json.loads(metadata.get(REPLACES.encode(), b"[]"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} is damaged: its note {REPLACES} is not JSON. {MEND}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DamagedFileError(f"{path} is damaged: its note {REPLACES} is no list of names. {MEND}")
    return frozenset(names)


def refuse_faults(path: Path, rows: pa.Table) -> pa.Table:
    """Rows as they are, unless they cannot be: nulls, absurd values; as far as the columns that are there tell.

    Raises:
        DamagedFileError: What is wrong with them.
    """
    problem = next(iter(find_problems(rows)), None)
    if problem is None:
        return rows
    count = counted(int(problem.rows.sum()), "row")
    raise DamagedFileError(f"{path} is damaged or not of a study: {count} with {problem.what}. {MEND}")


def read_whole(path: Path, version: int, columns: Sequence[str] | None = None) -> pa.Table:
    """Read one Parquet file of ours, or some of its columns.

    Args:
        path: The file; its column ``schema_version`` is read in any case.
        version: The newest schema version that is understood.
        columns: Which columns; None for all.

    Raises:
        StoreError: It is damaged, or was written by a newer clipsweep.
    """
    with _naming_damage(path), pq.ParquetFile(path) as file:  # read_table would load pandas
        wanted = None if columns is None else [*columns, "schema_version"]
        table = file.read(columns=wanted, use_threads=False)  # for files as small as ours threads cost more
    _check_version(path, table, version)
    return table


def read_in_schema(path: Path, version: int, schema: pa.Schema) -> pa.Table:
    """Read one Parquet file of ours with the columns of a schema; no rows where there is no file.

    Raises:
        StoreError: It is damaged, has other columns, or was written by a newer clipsweep.
    """
    if not os.path.lexists(path):
        return schema.empty_table()
    table = read_whole(path, version)
    try:
        return table.select(schema.names).cast(schema)
    except (pa.ArrowException, KeyError, ValueError) as error:
        raise StoreError(f"{path} has other columns than ours ({first_line(error)}). {MEND}") from error


@contextmanager
def _naming_damage(path: Path) -> Iterator[None]:
    """Name the file that cannot be read."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if path.is_dir() or (path.is_symlink() and not path.exists()):
            what = "a folder" if path.is_dir() else "a link that leads nowhere"
            raise StoreError(f"{path} is {what}; expected a file. Move it away.") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(word_os_error(error, f"reading {path}")) from error
        raise DamagedFileError(f"{path} is not a whole Parquet file ({first_line(error)}). {MEND}") from error


def _check_version(path: Path, table: pa.Table, version: int) -> None:
    """Refuse what is no table of ours, or one of a newer clipsweep."""
    names = table.column_names
    if "schema_version" not in names or len(set(names)) < len(names):
        what = "two of its columns have one name" if "schema_version" in names else "it has no column schema_version"
        raise DamagedFileError(f"{path} holds no rows of clipsweep: {what}. Move it away.")
    found: list[Any] = table["schema_version"].unique().to_pylist()
    if not all(isinstance(each, int) and each >= 1 for each in found):
        raise DamagedFileError(f"{path} holds no rows of clipsweep: its schema_version is {found[0]!r}. Move it away.")
    newest = max(found, default=version)
    if newest > version:
        raise StoreError(f"{path} has schema version {newest}; this clipsweep reads up to {version}. Upgrade it.")
