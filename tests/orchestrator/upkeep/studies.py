"""A stored study of 253 trials in four files, to be damaged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from clipsweep.analysis.row.row import Record
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.open_study import OpenStudy, reopen
from tests.benchmarks.stored_studies import Axes, make_study, store_rows

ROWS = 253


def stored_study(folder: Path) -> OpenStudy:
    """Write it."""
    opened = make_study(folder, Axes(rates=1))
    assert store_rows(opened, 64) == 4
    return reopen(folder)


def files_of(folder: Path) -> list[Path]:
    """Its files of rows."""
    return sorted((folder / "trials").glob("part-*.parquet"))


def rewrite(path: Path, records: Iterable[Record]) -> None:
    """Put other rows into a file."""
    schema = pq.read_schema(path)
    pq.write_table(pa.Table.from_pylist(list(records), schema=schema), path)


def change(path: Path, number: int, **values: object) -> str:
    """Change one row of a file; gives its trial."""
    records = pq.read_table(path).to_pylist()
    records[number] |= values
    rewrite(path, records)
    return str(records[number]["trial_id"])


def trials_in(folder: Path) -> set[str]:
    """The trials that count."""
    return set(ResultsTable(folder / "trials").latest())
