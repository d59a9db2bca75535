"""Tables made from plain values equal those that pyarrow makes, whatever is missing in them."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from clipsweep.analysis.row.arrays import _offsets, make_array, make_table
from clipsweep.analysis.row.row import SCHEMA
from tests.analysis.store.rows import failed_record, stored_record

CLIPS = next(field.type for field in SCHEMA if field.name == "clips")
clips = st.fixed_dictionaries(
    {
        "layer": st.integers(0, 99),
        "module": st.text(),
        "clip_rate": st.none() | st.floats(0, 1),
        "kind": st.none() | st.text(),
        "options": st.none() | st.text(),
    }
)
VALUES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.int32(), st.integers(-(2**31), 2**31 - 1)),
    (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    (pa.float64(), st.floats(allow_nan=False)),
    (pa.string(), st.text()),
    (pa.binary(), st.binary()),
    (pa.timestamp("us", tz="UTC"), st.datetimes(timezones=st.just(UTC))),
    (CLIPS, st.lists(clips)),
]


@pytest.mark.parametrize(("kind", "values"), VALUES, ids=[str(kind)[:9] for kind, _ in VALUES])
def test_an_array_equals_pyarrows_own(kind: pa.DataType, values: st.SearchStrategy[Any]) -> None:
    @settings(deadline=None)  # of a busy machine the first table alone may take seconds
    @given(st.lists(st.none() | values, max_size=20))
    def check(drawn: list[Any]) -> None:
        made = make_array(drawn, kind)
        made.validate(full=True)
        assert made.equals(pa.array(drawn, kind))

    check()


def test_a_table_of_rows_equals_pyarrows_own() -> None:
    records = [stored_record("a"), failed_record(trial_id="b"), {"trial_id": "c"}]
    assert make_table(records, SCHEMA).equals(pa.Table.from_pylist(records, schema=SCHEMA))


def test_times_of_another_zone_are_the_same_moments() -> None:
    zone = datetime.now(UTC).astimezone().tzinfo
    moments = [datetime(2026, 3, 1, 12, tzinfo=zone), datetime(1969, 1, 1, tzinfo=UTC) + timedelta(microseconds=7)]
    kind = pa.timestamp("us", tz="UTC")
    assert make_array(moments, kind).equals(pa.array(moments, kind))


@pytest.mark.parametrize(
    ("kind", "value"), [(pa.int32(), 1.5), (pa.int32(), 2**40), (pa.string(), b"x"), (pa.binary(), "x")]
)
def test_a_value_of_another_type_is_refused(kind: pa.DataType, value: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        make_array([value], kind)


def test_neither_writing_nor_reading_rows_loads_pandas(tmp_path: str) -> None:
    code = f"""
import datetime, sys
from pathlib import Path
from clipsweep.analysis.store.table import ResultsTable

folder = Path(sys.argv[1])
for record in {[stored_record("a"), stored_record("b")]!r}:
    ResultsTable(folder).append([record])
ResultsTable(folder).merge()
assert len(ResultsTable(folder).latest()) == 2
print("pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_what_is_too_long_for_one_array_is_refused_and_does_not_wrap() -> None:
    with pytest.raises(OverflowError, match="2147483648 bytes or values are too many"):
        _offsets([range(2**31)])
