"""The rows of a real study are read as they lie by pandas, polars, DuckDB and datasets."""

from collections.abc import Sequence
from pathlib import Path
from shutil import copytree

import pandas
import pytest

from clipsweep.analysis.row.row import SCHEMA
from clipsweep.analysis.store.table import ResultsTable
from tests.orchestrator.stored import all_rows


@pytest.fixture(scope="module")
def trials(finished_study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder of rows: the file that a study leaves at its end, and one of a single row, as while it runs."""
    folder = tmp_path_factory.mktemp("read") / "s"
    copytree(finished_study / "trials", folder / "trials")
    last = all_rows(folder)[-1].record()
    ResultsTable(folder / "trials").append([last | {"attempt": last["attempt"] + 1}])
    assert len(list((folder / "trials").glob("*.parquet"))) == 2
    return folder / "trials"


def check(trials: Path, columns: Sequence[str], found: Sequence[tuple[str, int, float, bytes]]) -> None:
    """All columns are there, and those of every row that are looked at are right."""
    rows = all_rows(trials.parent)
    assert list(columns) == SCHEMA.names
    expected = [(row.trial_id, row.attempt, row.accuracy, row.record()["outcomes"]) for row in rows]
    assert sorted(found) == sorted(expected)


LOOKED_AT = ["trial_id", "attempt", "accuracy", "outcomes"]


def test_pandas_reads_them(trials: Path) -> None:
    frame = pandas.read_parquet(trials)
    check(trials, list(frame), list(frame[LOOKED_AT].itertuples(index=False, name=None)))
    assert frame["finished_at"].dt.tz is not None
    assert {clip["module"] for clips in frame["clips"] for clip in clips} == {"mlp"}


@pytest.mark.slow
def test_polars_reads_them(trials: Path) -> None:
    import polars

    frame = polars.read_parquet(trials / "*.parquet")
    check(trials, frame.columns, frame.select(LOOKED_AT).rows())
    assert set(frame["clips"].explode().struct.field("module").drop_nulls()) == {"mlp"}


def test_duckdb_reads_them(trials: Path) -> None:
    import duckdb

    found = duckdb.sql(f"SELECT * FROM '{trials}/*.parquet'")
    check(trials, found.columns, duckdb.sql(f"SELECT {', '.join(LOOKED_AT)} FROM '{trials}/*.parquet'").fetchall())
    query = f"SELECT DISTINCT unnest(clips).module FROM '{trials}/*.parquet'"
    assert duckdb.sql(query).fetchall() == [("mlp",)]


@pytest.mark.slow
def test_datasets_reads_them(trials: Path, tmp_path: Path) -> None:
    import datasets

    found = datasets.load_dataset(
        "parquet", data_files=f"{trials}/*.parquet", split="train", cache_dir=str(tmp_path / "cache")
    )
    check(trials, found.column_names, [tuple(row[name] for name in LOOKED_AT) for row in found])
    assert {clip["module"] for clips in found["clips"] for clip in clips} == {"mlp"}
