import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from clipsweep.analysis.store.fence import newest_token
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.trials.base.errors import StoreError, TakenOverError
from tests.analysis.store.rows import stored_record
from tests.analysis.store.test_table import write_older

# Takes tables over and stores a row, killed at the n-th call that changes or flushes something; tells if it got so far.
CUT_OFF = """
import os, sys
from pathlib import Path
from clipsweep.analysis.store.table import ResultsTable
from tests.analysis.store.rows import stored_record

def killed_at(call):
    def counted(*arguments, **options):
        global left
        left -= 1
        if left < 0:
            os._exit(9)
        return call(*arguments, **options)
    return counted

root = Path(sys.argv[1])
for number, folder in enumerate(sorted(root.iterdir())):
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    left = number
    os.replace, os.fsync, os.unlink = killed_at(os.replace), killed_at(os.fsync), killed_at(os.unlink)
    table = ResultsTable(folder)
    table.take_over(3, lambda: None)
    table.append([stored_record("new")])
    table.merge()
    (root / folder / "done").touch()
    os._exit(0)
"""


def under(folder: Path, token: int) -> ResultsTable:
    """The table of a process that holds a claim, and goes on holding it for all it knows."""
    table = ResultsTable(folder)
    table.take_over(token, lambda: None)
    return table


def lost() -> None:
    raise TakenOverError("the study was taken over")


def ids(table: ResultsTable) -> list[str]:
    return sorted(row.trial_id for row in table.read())


@pytest.fixture
def woken(tmp_path: Path) -> ResultsTable:
    """The table of a process that stored ``a``, lost the study to one that stored ``b``, and does not know it."""
    table = under(tmp_path, 1)
    table.append([stored_record("a")])
    under(tmp_path, 2).append([stored_record("b")])
    return table


def test_what_a_process_stored_before_it_lost_the_study_counts(woken: ResultsTable, tmp_path: Path) -> None:
    assert ids(ResultsTable(tmp_path)) == ["a", "b"]
    assert ResultsTable(tmp_path).set_aside() == []


def test_what_it_stores_afterwards_is_set_aside_for_every_reader(woken: ResultsTable, tmp_path: Path) -> None:
    reader = ResultsTable(tmp_path)
    reader.read()
    woken.append([stored_record("late")])
    assert ids(reader) == ids(ResultsTable(tmp_path)) == ids(under(tmp_path, 3)) == ids(woken) == ["a", "b"]
    assert [name[:13] for name in reader.set_aside()] == ["part-00000001"]


def test_rows_that_were_set_aside_stay_so_for_later_claims(woken: ResultsTable, tmp_path: Path) -> None:
    woken.append([stored_record("late")])
    under(tmp_path, 3).append([stored_record("c")])
    assert ids(ResultsTable(tmp_path)) == ["a", "b", "c"]
    assert len(ResultsTable(tmp_path).set_aside()) == 1


def test_rows_that_were_set_aside_are_neither_merged_nor_removed(woken: ResultsTable, tmp_path: Path) -> None:
    woken.append([stored_record("late")])
    under(tmp_path, 3).merge()
    assert ids(ResultsTable(tmp_path)) == ["a", "b"]
    assert len(list(tmp_path.glob("part-*"))) == 2


def test_files_that_it_merges_afterwards_hide_none(tmp_path: Path) -> None:
    woken = under(tmp_path, 1)
    for name in "ab":
        woken.append([stored_record(name)])
    woken.read()
    under(tmp_path, 2).append([stored_record("c")])
    woken._check = lost
    with pytest.raises(TakenOverError):
        woken.merge()
    assert ids(ResultsTable(tmp_path)) == ["a", "b", "c"]


def test_it_removes_none_that_it_had_merged_unless_the_merged_file_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken, unlink = under(tmp_path, 1), Path.unlink
    for name in "ab":
        woken.append([stored_record(name)])

    def stop_and_wake(path: Path, missing_ok: bool = False) -> None:  # between its check and the first removal
        if path.suffix == ".parquet" and not path.name.startswith("."):
            monkeypatch.setattr(Path, "unlink", unlink)
            under(tmp_path, 2).append([stored_record("c")])
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stop_and_wake)
    woken.merge()
    assert ids(ResultsTable(tmp_path)) == ids(under(tmp_path, 3)) == ["a", "b", "c"]
    assert len(list(tmp_path.glob("part-*"))) == 2


def test_a_process_that_lost_the_study_as_it_stored_rows_does_not_say_that_they_are_stored(tmp_path: Path) -> None:
    checks = iter([lambda: None, lost])
    table = ResultsTable(tmp_path)
    table.take_over(1, lambda: next(checks)())
    with pytest.raises(TakenOverError):
        table.append([stored_record("a")])


def test_a_claim_that_stores_nothing_changes_nothing(tmp_path: Path) -> None:
    under(tmp_path, 1).append([stored_record("a")])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    under(tmp_path, 2).merge()
    assert ids(under(tmp_path, 3)) == ["a"]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_of_earlier_versions_count_and_are_taken_over(tmp_path: Path) -> None:
    write_older(tmp_path, stored_record("old"), 4)
    assert newest_token(tmp_path) == 0
    under(tmp_path, 1).append([stored_record("new")])
    assert ids(ResultsTable(tmp_path)) == ["new", "old"]
    shutil.copy(tmp_path / "part-old-0.parquet", tmp_path / "part-late-0.parquet")
    assert ResultsTable(tmp_path).set_aside() == ["part-late-0.parquet"]


def test_the_newest_claim_is_known_from_the_files_alone(woken: ResultsTable, tmp_path: Path) -> None:
    assert newest_token(tmp_path) == 2
    assert newest_token(tmp_path / "nowhere") == 0


def test_what_is_merged_without_a_claim_counts(woken: ResultsTable, tmp_path: Path) -> None:
    ResultsTable(tmp_path).merge()
    assert ids(ResultsTable(tmp_path)) == ["a", "b"]


def test_one_list_is_left_of_many_claims(tmp_path: Path) -> None:
    for token in range(1, 6):
        under(tmp_path, token).append([stored_record(str(token))])
    assert [path.name for path in tmp_path.glob(".accepted-*")] == [".accepted-00000005.json"]


def test_a_late_list_of_an_earlier_claim_changes_nothing(tmp_path: Path) -> None:
    under(tmp_path, 1).append([stored_record("a")])
    late = under(tmp_path, 2)
    under(tmp_path, 3).append([stored_record("c")])
    late.append([stored_record("b")])  # its first, so it writes its list before
    assert ids(ResultsTable(tmp_path)) == ["a", "c"]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"token": 1}', b'{"token": null, "accepted": []}'])
def test_a_damaged_list_is_named_with_the_mend(woken: ResultsTable, tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".accepted-00000002.json").write_bytes(content)
    with pytest.raises(StoreError, match=r"\.accepted-00000002\.json is damaged.*Move it away; then all of them do"):
        ResultsTable(tmp_path).read()


def test_a_list_that_is_replaced_as_it_is_read_is_read_anew(
    woken: ResultsTable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def too_late(path: Path) -> bytes:
        monkeypatch.setattr(Path, "read_bytes", read)
        under(tmp_path, 3).append([stored_record("c")])
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", too_late)
    assert ids(ResultsTable(tmp_path)) == ["a", "b", "c"]


def test_a_merge_while_the_folder_is_listed_hides_no_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, listdir = under(tmp_path, 1), os.listdir
    for name in "ab":
        writer.append([stored_record(name)])

    def merged_meanwhile(folder: Path) -> list[str]:  # the new file is missed, the old ones are gone
        monkeypatch.setattr(os, "listdir", listdir)
        listed = listdir(folder)
        writer.merge()
        return [name for name in listed if (tmp_path / name).exists()]

    reader = ResultsTable(tmp_path)
    monkeypatch.setattr(os, "listdir", merged_meanwhile)
    assert ids(reader) == ["a", "b"]


def test_the_rows_of_many_claims_can_be_read_by_any_parquet_reader(woken: ResultsTable, tmp_path: Path) -> None:
    assert {*pq.read_table(tmp_path)["trial_id"].to_pylist()} == {"a", "b"}


@pytest.mark.slow
def test_a_takeover_that_is_killed_at_any_call_loses_no_row_and_counts_none_twice(tmp_path: Path) -> None:
    base = tmp_path / "base"
    woken = under(base, 1)
    for name in "ab":
        woken.append([stored_record(name)])
    under(base, 2).append([stored_record("c")])
    woken.append([stored_record("late")])
    cuts = tmp_path / "cuts"
    for number in range(24):
        shutil.copytree(base, cuts / f"{number:02}")
    subprocess.run([sys.executable, "-c", CUT_OFF, str(cuts)], check=True, timeout=200)
    folders = sorted(cuts.iterdir())
    found = ["".join(ids(ResultsTable(folder))) for folder in folders]
    assert re.fullmatch("(abc )+(abcnew ?)+", " ".join(found))
    assert ["".join(ids(under(folder, 4))) for folder in folders] == found
    assert (folders[-1] / "done").exists()  # so every call was tried
    assert not (folders[0] / "done").exists()
