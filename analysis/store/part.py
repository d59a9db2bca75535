"""One file of the results table: written whole, read in today's columns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.store.row import SCHEMA, SCHEMA_VERSION
from clipsweep.trials.base.errors import StoreError, first_line
from clipsweep.trials.base.files import whole_file
from clipsweep.trials.base.os_words import word_os_error

REPLACES = "clipsweep.replaces"  # key of a file's metadata


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
    """Write a new file whole, in one piece: Parquet's own writer would ask the disk for each column's pieces apart."""
    replaces = {REPLACES: json.dumps(sorted(part.replaces))} if part.replaces else None
    made = pa.BufferOutputStream()
    pq.write_table(part.rows.replace_schema_metadata(replaces), made)
    with whole_file(path) as draft:
        draft.write_bytes(made.getvalue())


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
        raise StoreError(
            f"{path} has a column of another type ({first_line(error)}). Move it away and run the study again."
        ) from error
    replaces = json.loads((stored.schema.metadata or {}).get(REPLACES.encode(), b"[]"))
    return Part(pa.Table.from_arrays(columns, schema=SCHEMA), frozenset(replaces))


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
            f"{path} is not a whole Parquet file ({first_line(error)}). Move it away and run the study again."
        ) from error
    if "schema_version" not in table.column_names:
        raise StoreError(f"{path} holds no rows of clipsweep: it has no column schema_version. Move it away.")
    versions: list[Any] = table["schema_version"].unique().to_pylist()
    newest = max(versions, default=version)
    if newest > version:
        raise StoreError(f"{path} has schema version {newest}; this clipsweep reads up to {version}. Upgrade it.")
    return table
