"""One file of the results table: written whole, read in today's columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.store.row import SCHEMA, SCHEMA_VERSION
from clipsweep.analysis.store.valid import fault_of
from clipsweep.trials.base.errors import StoreError, WriteError, first_line
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.base.os_words import word_os_error

REPLACES = "clipsweep.replaces"  # key of a file's metadata
MEND = "Move it away and run the study again: what it held is made anew."


@dataclass(frozen=True, slots=True)
class Part:
    """One file of rows.

    Attributes:
        rows: In today's columns.
        replaces: Names of the files whose rows it holds since they were merged; these count no more.
    """

    rows: pa.Table
    replaces: frozenset[str] = frozenset()


def write_part(path: Path, part: Part) -> None:
    """Write a new file whole. Its folder is made, but not the study's above it.

    Raises:
        WriteError: The disk is full or can only be read, or the study's folder is gone.
    """
    replaces = {REPLACES: json.dumps(sorted(part.replaces))} if part.replaces else None
    try:
        with whole_file(path, within=path.parent.parent) as draft:
            pq.write_table(part.rows.replace_schema_metadata(replaces), draft)
    except OSError as error:
        raise WriteError(
            f"{word_os_error(error, f'writing {path}')} What was stored before is whole; run the study again to go on."
        ) from error


def read_part(path: Path) -> Part:
    """One file in today's columns: those that an older version did not write are null.

    Raises:
        StoreError: It is damaged, or was written by a newer clipsweep.
    """
    stored = read_whole(path, SCHEMA_VERSION)
    there = set(stored.column_names)
    try:
        columns = [
            stored[field.name].cast(field.type) if field.name in there else pa.nulls(stored.num_rows, field.type)
            for field in SCHEMA
        ]
    except pa.ArrowException as error:
        raise StoreError(f"{path} has a column of another type ({first_line(error)}). {MEND}") from error
    return Part(pa.Table.from_arrays(columns, schema=SCHEMA), _replaced(path, stored.schema.metadata or {}))


def _replaced(path: Path, metadata: Mapping[bytes, bytes]) -> frozenset[str]:
    """Names of the files that a file replaces, as its metadata has them."""
    try:
        names = json.loads(metadata.get(REPLACES.encode(), b"[]"))
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path} is damaged: its note {REPLACES} is not JSON. {MEND}") from error
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise StoreError(f"{path} is damaged: its note {REPLACES} is no list of names. {MEND}")
    return frozenset(names)


def check_part(path: Path, rows: pa.Table) -> None:
    """Refuse a file whose rows cannot be.

    Raises:
        StoreError: What is wrong with them.
    """
    fault = fault_of(rows)
    if fault is not None:
        raise StoreError(f"{path} is damaged or not of a study: {fault}. {MEND}")


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
        if path.is_dir() or (path.is_symlink() and not path.exists()):
            what = "a folder" if path.is_dir() else "a link that leads nowhere"
            raise StoreError(f"{path} is {what}; expected a file. Move it away.") from error
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(word_os_error(error, f"reading {path}")) from error
        raise StoreError(f"{path} is not a whole Parquet file ({first_line(error)}). {MEND}") from error
    names = table.column_names
    missing = {*(columns or ()), "schema_version"} - set(names)
    if missing or len(set(names)) < len(names):
        what = f"it has no column {min(missing)}" if missing else "two of its columns have one name"
        raise StoreError(f"{path} holds no rows of clipsweep: {what}. Move it away.")
    newest = _newest(path, table["schema_version"])
    if newest is not None and newest > version:
        raise StoreError(f"{path} has schema version {newest}; this clipsweep reads up to {version}. Upgrade it.")
    return table


def _newest(path: Path, versions: pa.ChunkedArray[Any]) -> int | None:
    """The newest schema version of some rows; None where there are none.

    Raises:
        StoreError: They are no numbers from 1 on, or one is missing.
    """
    found: list[Any] = versions.unique().to_pylist()
    if not all(isinstance(each, int) and each >= 1 for each in found):
        raise StoreError(f"{path} holds no rows of clipsweep: its schema_version is {found[0]!r}. Move it away.")
    return max(found, default=None)
