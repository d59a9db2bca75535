from __future__ import annotations

from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.parquet_file import read_parquet
from clipsweep.trials.rows.values import Binary, text_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "train.parquet"


def first(path: Path, column: pa.Array[Any]) -> Any:
    parquet.write_table(pa.table({"v": column}), path)
    return read_parquet(path)[0][1]["v"]


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([0.1], pa.float64()), "0.1"),
        (pa.array([16777216], pa.float32()), "16777216.0"),
        (pa.array([2**62]), str(2**62)),
        (pa.array([True]), "true"),
        (pa.array(["café".encode()], pa.binary()), "café"),
        (pa.array(["café".encode()], pa.large_binary()), "café"),
        (pa.array([b"four"], pa.binary(4)), "four"),
        (pa.array(["a"], pa.large_string()), "a"),
        (pa.array(["a"], pa.string_view()), "a"),
        (pa.array(["a"]).dictionary_encode(), "a"),
        (pa.array([b"a"]).dictionary_encode(), "a"),
        (pa.array([date(2024, 1, 20)]), "2024-01-20"),
        (pa.array([datetime(2024, 1, 20, 10)]), "2024-01-20 10:00:00"),
        (pa.array([0], pa.timestamp("us", tz="UTC")), "1970-01-01 00:00:00+00:00"),
        (pa.array([1], pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
        (pa.array([time(10, 30)]), "10:30:00"),
        (pa.array([Decimal("19.50")], pa.decimal128(20, 2)), "19.50"),
        (pa.array([Decimal(0)], pa.decimal128(20, 10)), "0.0000000000"),
    ],
)
def test_a_value_prints_as_its_type_writes_it(path: Path, column: pa.Array[Any], text: str) -> None:
    assert text_of(first(path, column), "v") == text


def test_parts_of_lists_and_mappings_are_as_whole_values(path: Path) -> None:
    kind = pa.list_(pa.struct([("score", pa.float32()), ("name", pa.binary())]))
    value = first(path, pa.array([[{"score": 0.1, "name": b"a"}, None]], kind))
    assert (str(value[0]["score"]), value[0]["name"], value[1]) == ("0.1", "a", None)


def test_nothing_stays_none(path: Path) -> None:
    assert first(path, pa.array([None, 0.5], pa.float32())) is None


def test_bytes_that_are_no_text_do_no_harm_where_nobody_shows_them(path: Path) -> None:
    assert isinstance(first(path, pa.array([b"\xff"], pa.binary())), Binary)


def test_folders_that_look_like_columns_are_no_columns(tmp_path: Path) -> None:
    path = tmp_path / "year=2024" / "train.parquet"
    path.parent.mkdir()
    parquet.write_table(pa.table({"v": ["a"]}), path)
    assert read_parquet(path) == [(0, {"v": "a"})]


def test_a_column_that_is_named_twice_is_refused(path: Path) -> None:
    parquet.write_table(pa.table([pa.array(["a"]), pa.array(["b"])], names=["v", "v"]), path)
    with pytest.raises(TaskError, match="train.parquet: two columns are named 'v'"):
        read_parquet(path)


@pytest.mark.parametrize("column", [pa.array([10**17], pa.timestamp("ms")), pa.array([1001], pa.time64("ns"))])
def test_times_that_python_cannot_hold_are_refused(path: Path, column: pa.Array[Any]) -> None:
    with pytest.raises(TaskError, match="train.parquet, column 'v': values of type .* are beyond Python's"):
        first(path, column)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"v,label\na,pos\n", "is no Parquet file .it begins b'v,label.n'."),
        (b"PAR1" + b"\0" * 40, "is cut off"),
        (b"PAR1" + b"\0" * 40 + b"PAR1", "cannot be read as Parquet"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS"),
        (b"", "is empty"),
    ],
)
def test_a_file_that_is_no_parquet_is_refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(TaskError, match=f"train.parquet {words}"):
        read_parquet(path)
