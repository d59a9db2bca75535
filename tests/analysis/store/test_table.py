import errno
import json
import math
import threading
from datetime import timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipsweep.analysis.row.row import SCHEMA, SCHEMA_VERSION, Record, jsonable
from clipsweep.analysis.store.part import DESCRIBED_ROWS, read_notes
from clipsweep.analysis.store.rows import plain_rows
from clipsweep.analysis.store.table import MERGED_FILES, ResultsTable
from clipsweep.trials.base.errors import StoreError, WriteError
from clipsweep.trials.spec.implicit import ImplicitNorms
from tests.analysis.store.rows import NOON, failed_record, stored_record, text_record
from tests.analysis.watch import watch_files


@pytest.fixture
def files_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Name of every Parquet file that is read from now on."""
    return watch_files(monkeypatch)


def write_older(folder: Path, record: Record, version: int, *, without: tuple[str, ...] = (), **more: str) -> None:
    """Write a file as an older version did: without some of today's columns, and with some that are gone."""
    table = pa.Table.from_pylist([record | {"schema_version": version}], schema=SCHEMA).drop_columns(list(without))
    for name, value in more.items():
        table = table.append_column(name, pa.array([value]))
    folder.mkdir(exist_ok=True)
    pq.write_table(table, folder / "part-old-0.parquet")


def test_a_row_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    record = stored_record()
    ResultsTable(tmp_path).append([record])
    assert [row.record() for row in ResultsTable(tmp_path).read()] == [record]
    assert record.keys() == {*SCHEMA.names}


def test_norms_of_the_theory_come_back_as_they_were_measured(tmp_path: Path) -> None:
    norms = ImplicitNorms(
        delta_w=(1.5, None), delta_w_softmax=(-math.inf, 2.0), implicit_gradient=(0.25, 0.5), seconds=0.125
    )
    ResultsTable(tmp_path).append([stored_record(implicit=norms), stored_record("b")])
    measured, plain = ResultsTable(tmp_path).read()
    assert (measured.implicit, plain.implicit) == (norms, None)
    told = next(iter(plain_rows([measured])))
    assert told == jsonable(measured)
    assert (told["log_delta_w"], told["log_delta_w_softmax"]) == ([1.5, None], [None, 2.0])


def test_rows_of_text_are_json_however_they_are_asked_for(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([text_record([-3.0, -2.5], [2, 3])])
    rows = list(ResultsTable(tmp_path).read())
    assert json.loads(json.dumps(next(iter(plain_rows(rows))))) == jsonable(rows[0])


def test_what_is_appended_is_given_back_as_rows(tmp_path: Path) -> None:
    rows = ResultsTable(tmp_path).append([stored_record("a"), failed_record(trial_id="b")])
    assert rows == list(ResultsTable(tmp_path).read())
    assert [row.trial_id for row in rows] == ["a", "b"]


def test_rows_of_older_files_have_null_where_a_column_is_missing(tmp_path: Path) -> None:
    missing = ("demonstrations", "tally", "margins")
    write_older(tmp_path, stored_record(demonstrations=3), 1, without=missing)
    [row] = ResultsTable(tmp_path).read()
    assert (row.demonstrations, row.tally, row.margins, row.has_margins) == (None, None, None, False)
    assert {key: row.record()[key] for key in missing} == dict.fromkeys(missing)


def test_columns_that_are_gone_are_not_in_the_rows_of_older_files(tmp_path: Path) -> None:
    write_older(tmp_path, stored_record(), 4, params='{"layer": 0}')
    [row] = ResultsTable(tmp_path).read()
    assert row.record() == stored_record() | {"schema_version": 4}


def test_rows_of_older_files_and_of_new_ones_are_read_together(tmp_path: Path) -> None:
    write_older(tmp_path, stored_record("old"), 3, without=("margins",), params="null")
    ResultsTable(tmp_path).append([stored_record("new")])
    assert {row.trial_id: row.has_margins for row in ResultsTable(tmp_path).read()} == {"old": False, "new": True}


def test_each_append_is_one_new_file_and_edits_none(tmp_path: Path) -> None:
    table = ResultsTable(tmp_path / "trials")
    table.append([stored_record("a"), stored_record("b")])
    first = {path: path.read_bytes() for path in (tmp_path / "trials").iterdir()}
    assert len(first) == 1
    table.append([stored_record("c")])
    assert len(list((tmp_path / "trials").iterdir())) == 2
    assert all(path.read_bytes() == content for path, content in first.items())


def test_a_file_is_read_once_however_often_the_rows_are_asked_for(tmp_path: Path, files_read: list[str]) -> None:
    for name in ("a", "b"):
        ResultsTable(tmp_path).append([stored_record(name)])
    table = ResultsTable(tmp_path)
    for _ in range(3):
        assert (len(table.read()), len(table.latest())) == (2, 2)
    assert sorted(files_read) == sorted(path.name for path in tmp_path.iterdir())


def test_of_files_that_others_add_only_the_new_ones_are_read(tmp_path: Path, files_read: list[str]) -> None:
    table, other = ResultsTable(tmp_path), ResultsTable(tmp_path)
    other.append([stored_record("a")])
    assert len(table.read()) == 1
    del files_read[:]
    other.append([stored_record("b")])
    assert [row.trial_id for row in table.read()] == ["a", "b"]
    assert len(files_read) == 1


def test_files_that_this_table_appended_are_not_read_back(tmp_path: Path, files_read: list[str]) -> None:
    table = ResultsTable(tmp_path)
    for name in ("a", "b"):
        table.append([stored_record(name)])
        assert name in table.latest()
    assert files_read == []


def test_opening_a_table_reads_nothing(tmp_path: Path, files_read: list[str]) -> None:
    ResultsTable(tmp_path).append([stored_record()])
    ResultsTable(tmp_path)
    assert files_read == []


def test_a_table_without_files_has_no_rows(tmp_path: Path) -> None:
    table = ResultsTable(tmp_path / "trials")
    assert (list(table.read()), dict(table.latest())) == ([], {})
    assert not (tmp_path / "trials").exists()


def test_a_draft_left_by_a_killed_writer_is_not_read(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_record()])
    (tmp_path / ".draft-1-part-x.parquet").write_bytes(b"torn")
    assert len(ResultsTable(tmp_path).read()) == 1


def test_two_writers_never_take_each_others_file(tmp_path: Path) -> None:
    tables = [ResultsTable(tmp_path) for _ in range(4)]
    threads = [threading.Thread(target=table.append, args=([stored_record(str(n))],)) for n, table in enumerate(tables)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.trial_id for row in ResultsTable(tmp_path).read()} == {"0", "1", "2", "3"}


def test_the_latest_attempt_counts_and_a_complete_one_always_wins(tmp_path: Path) -> None:
    later = NOON + timedelta(hours=1)
    table = ResultsTable(tmp_path)
    first, second = failed_record(trial_id="a", attempt=1), stored_record("a", attempt=2)
    table.append([first, second, failed_record(trial_id="b", attempt=1)])
    table.append([failed_record(trial_id="a", attempt=3, finished_at=later), failed_record(trial_id="b", attempt=2)])
    latest = table.latest()
    assert (latest["a"].attempt, latest["b"].attempt) == (2, 2)


def test_a_damaged_file_is_named_with_the_mend(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_record()])
    path = next(tmp_path.glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreError, match=f"{path.name} is not a whole Parquet file.*Move it away"):
        ResultsTable(tmp_path).read()


def test_rows_of_a_newer_schema_are_refused(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_record() | {"schema_version": SCHEMA_VERSION + 1}])
    with pytest.raises(StoreError, match=f"schema version {SCHEMA_VERSION + 1}; this clipsweep reads up to"):
        ResultsTable(tmp_path).read()


def test_a_row_can_be_read_by_any_parquet_reader(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_record()])
    frame = pq.read_table(tmp_path).to_pandas()
    assert frame.loc[0, ["layer", "module", "clip_rate", "accuracy"]].tolist() == [0, "mlp", 0.5, 0.5]


def files_of(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def appended_one_by_one(folder: Path, count: int) -> ResultsTable:
    table = ResultsTable(folder)
    for number in range(count):
        table.append([stored_record(f"{number:04}")])
    return table


def test_merged_files_hold_the_same_rows_in_one(tmp_path: Path) -> None:
    table = appended_one_by_one(tmp_path, 7)
    before = list(table.read())
    table.merge()
    assert len(files_of(tmp_path)) == 1
    assert list(table.read()) == list(ResultsTable(tmp_path).read()) == before


def test_files_of_older_versions_and_of_other_processes_are_merged_too(tmp_path: Path) -> None:
    write_older(tmp_path, stored_record("old"), 3, without=("margins",))
    appended_one_by_one(tmp_path, 2)
    ResultsTable(tmp_path).merge()
    assert [row.trial_id for row in ResultsTable(tmp_path).read()] == ["0000", "0001", "old"]
    assert len(files_of(tmp_path)) == 1


def test_a_merge_that_was_cut_off_counts_no_row_twice_and_is_finished_by_the_next(tmp_path: Path) -> None:
    appended_one_by_one(tmp_path, 3)
    pieces = {path: path.read_bytes() for path in tmp_path.iterdir()}
    ResultsTable(tmp_path).merge()
    for path, content in pieces.items():  # as if the process had been killed before it removed them
        path.write_bytes(content)
    assert len(ResultsTable(tmp_path).read()) == 3
    ResultsTable(tmp_path).merge()
    assert len(files_of(tmp_path)) == 1
    assert len(ResultsTable(tmp_path).read()) == 3


def test_a_merge_after_one_that_was_cut_off_may_be_cut_off_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    appended_one_by_one(tmp_path, 3)
    pieces = {path: path.read_bytes() for path in tmp_path.iterdir()}
    ResultsTable(tmp_path).merge()
    for path, content in pieces.items():
        path.write_bytes(content)
    ResultsTable(tmp_path).append([stored_record("later")])
    monkeypatch.setattr(ResultsTable, "_write", lambda *_: pytest.fail("killed"))
    with pytest.raises(pytest.fail.Exception):
        ResultsTable(tmp_path).merge()
    assert not any(path.exists() for path in pieces)  # else they would count again once their merged file is gone


def test_one_file_is_left_as_it_is(tmp_path: Path) -> None:
    table = appended_one_by_one(tmp_path, 1)
    before = files_of(tmp_path)
    table.merge()
    assert files_of(tmp_path) == before


def test_many_appends_never_leave_many_files(tmp_path: Path) -> None:
    table = appended_one_by_one(tmp_path, 2 * MERGED_FILES + 5)
    assert len(files_of(tmp_path)) == 6
    assert len(table.read()) == len(ResultsTable(tmp_path).read()) == 2 * MERGED_FILES + 5


def test_a_reader_whose_files_are_merged_meanwhile_reads_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = appended_one_by_one(tmp_path, 3)
    names = ResultsTable.files

    def listed_before_a_merge(table: ResultsTable) -> list[str]:
        listed = names(table)
        monkeypatch.setattr(ResultsTable, "files", names)
        writer.merge()
        return listed

    reader = ResultsTable(tmp_path)
    monkeypatch.setattr(ResultsTable, "files", listed_before_a_merge)
    reader._read_pieces()
    assert [row.trial_id for row in reader.read()] == ["0000", "0001", "0002"]


def test_rows_that_a_failing_disk_tells_too_late_to_be_stored_lie_in_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = appended_one_by_one(tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr("clipsweep.trials.base.files.sync_folder", fail_late)
        with pytest.raises(WriteError, match="the disk or network did not answer"):
            table.append([stored_record("late")])
    assert len(files_of(tmp_path)) == 1
    table.append([stored_record("late")])
    assert [len(ResultsTable(tmp_path).read()), len(files_of(tmp_path))] == [2, 2]


def fail_late(_folder: Path) -> None:
    raise OSError(errno.EIO, "torn off")


def told_of_columns(folder: Path) -> dict[str, dict[bytes, bytes]]:
    """What the one file that is there tells of each column."""
    (path,) = folder.glob("*.parquet")
    return {field.name: field.metadata or {} for field in pq.read_schema(path)}


def test_a_file_says_what_its_columns_hold(tmp_path: Path) -> None:
    ResultsTable(tmp_path).append([stored_record(str(number)) for number in range(DESCRIBED_ROWS)])
    told = told_of_columns(tmp_path)
    assert told["seconds"] == {b"description": b"Wall time of the evaluation, of all its parts.", b"unit": b"seconds"}
    assert [name for name, metadata in told.items() if not metadata[b"description"].endswith(b".")] == []
    assert b"unit" not in told["trial_id"]


def test_a_merged_file_says_it_and_one_of_very_few_rows_does_not(tmp_path: Path) -> None:
    table = ResultsTable(tmp_path)
    table.append([stored_record("a")])
    assert told_of_columns(tmp_path)["seconds"] == {}
    table.append([stored_record("b")])
    table.merge()
    assert told_of_columns(tmp_path)["seconds"][b"unit"] == b"seconds"


def test_every_file_that_is_written_carries_what_is_noted_of_the_study(tmp_path: Path) -> None:
    asked: list[int] = []

    def make_notes() -> dict[str, str]:
        asked.append(1)
        return {"clipsweep.study": "s"}

    table = ResultsTable(tmp_path, make_notes)
    assert table.notes() == {}
    assert asked == []
    table.append([stored_record("a")])
    assert ResultsTable(tmp_path).notes() == {"clipsweep.study": "s"}
    table.append([stored_record("b")])
    table.compact()
    (path,) = tmp_path.glob("*.parquet")
    assert read_notes(path) == ResultsTable(tmp_path).notes() == {"clipsweep.study": "s"}
    table.write_instead(path.name, table.read().columns(SCHEMA.names))
    path.unlink()
    assert ResultsTable(tmp_path).notes() == {"clipsweep.study": "s"}
    assert asked == [1]


def test_the_newest_note_counts(tmp_path: Path) -> None:
    for token, said in ((2, "new"), (1, "old")):
        table = ResultsTable(tmp_path, partial(dict, {"clipsweep.study": said}))
        table.take_over(token, lambda: None)
        table.append([stored_record(said)])
    assert ResultsTable(tmp_path).notes() == {"clipsweep.study": "new"}
