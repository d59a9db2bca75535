"""Rows filled from another table: the same from memory and from files, whichever way they are asked."""

from pathlib import Path

import pyarrow as pa
import pytest

from clipsweep.analysis.row.row import SCHEMA, StoredRow
from clipsweep.analysis.store import gather
from clipsweep.analysis.store.filled import Filling
from clipsweep.analysis.store.rows import Attempts, plain_rows
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.trials.spec.implicit import ImplicitNorms
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import FAILED, stored_record
from tests.analysis.store.test_rows import finished

OWN = ImplicitNorms(delta_w=(9.0,), delta_w_softmax=(9.0,), implicit_gradient=(9.0,), seconds=9.0)
RECORDS = [
    stored_record("failed first", 1, **FAILED),
    finished("failed first", 1, attempt=2),
    stored_record("measured", implicit=OWN),
    finished("cut short", 2, TrialState.PRUNED),
    finished("not there", 3),
]
FOUND = {"failed first": 1.0, "measured": 2.0, "cut short": 3.0, "of another study": 4.0}
EXPECTED = [("failed first", None), ("failed first", 1.0), ("measured", 9.0), ("cut short", 3.0), ("not there", None)]


def filling() -> Filling:
    table = {"trial_id": list(FOUND), "theory_seconds": list(FOUND.values()), "log_delta_w": [[1.0]] * len(FOUND)}
    schema = pa.schema([SCHEMA.field(name) for name in table])
    return Filling(("theory_seconds", "log_delta_w"), lambda: pa.table(table, schema=schema))


@pytest.fixture(params=["memory", "file"])
def attempts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Attempts:
    if request.param == "memory":
        rows = Attempts.of(pa.Table.from_pylist(RECORDS, schema=SCHEMA))
    else:
        monkeypatch.setattr(gather, "WHOLE_BYTES", 0)  # every file stays open, and is read by columns
        ResultsTable(tmp_path / "trials").append(RECORDS)
        rows = ResultsTable(tmp_path / "trials").read()
    return rows.filled(filling())


def test_rows_with_scores_that_lack_a_value_have_it(attempts: Attempts) -> None:
    assert sorted(((row.trial_id, row.theory_seconds) for row in attempts), key=str) == sorted(EXPECTED, key=str)
    assert [row.log_delta_w for row in attempts if row.trial_id == "cut short"] == [[1.0]]


def test_columns_of_all_rows_say_the_same(attempts: Attempts) -> None:
    table = attempts.columns(["theory_seconds", "trial_id"])
    assert table.column_names == ["theory_seconds", "trial_id"]
    assert table["theory_seconds"].to_pylist() == [row.theory_seconds for row in attempts]
    assert attempts.columns(["attempt"]).column_names == ["attempt"]


def test_rows_as_json_and_whole_tables_say_the_same(attempts: Attempts) -> None:
    rows = list(attempts)
    assert [row["theory_seconds"] for row in plain_rows(rows)] == [row.theory_seconds for row in rows]
    table = attempts.latest().table()
    assert table.schema.equals(SCHEMA)
    assert dict(zip(table["trial_id"].to_pylist(), table["theory_seconds"].to_pylist(), strict=True)) == {
        "failed first": 1.0, "measured": 9.0, "cut short": 3.0, "not there": None,
    }  # fmt: skip


def test_what_rows_hold_themselves_can_still_be_told(attempts: Attempts) -> None:
    expected = {"failed first": None, "measured": 9.0, "cut short": None, "not there": None}
    latest = attempts.filled(filling()).latest()  # filled once more, as after a change of the file
    assert {trial_id: latest.unfilled(trial_id).theory_seconds for trial_id in latest} == expected
    assert latest.unfilled("failed first").attempt == 2
    added = StoredRow.of(finished("not there", 4, attempt=2))
    latest.add([added])
    assert latest.unfilled("not there") is latest["not there"] is added


def test_what_is_filled_in_is_read_when_it_is_asked_for() -> None:
    def refuse() -> pa.Table:
        raise AssertionError("read")

    rows = Attempts.of(pa.Table.from_pylist(RECORDS, schema=SCHEMA))
    filled = rows.filled(Filling(("theory_seconds",), refuse))
    assert [row.accuracy for row in filled] == [row.accuracy for row in rows]
    with pytest.raises(AssertionError, match="read"):
        filled.latest().column("theory_seconds")
