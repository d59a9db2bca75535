import shutil
from pathlib import Path

import pytest

from clipsweep.orchestrator.folder.open_study import OpenStudy, reopen
from clipsweep.orchestrator.upkeep.verify import Verified, describe_verified, verify_study
from tests.orchestrator.upkeep.studies import ROWS, change, files_of, stored_study


@pytest.fixture
def opened(tmp_path: Path) -> OpenStudy:
    return stored_study(tmp_path / "s")


def verified(opened: OpenStudy) -> Verified:
    return verify_study(reopen(opened.folder.path))


def test_a_study_as_a_run_leaves_it_has_no_fault(opened: OpenStudy) -> None:
    found = verified(opened)
    assert (found.faults, found.notes) == ([], [])
    assert (found.n_files, found.n_rows, found.n_trials) == (4, ROWS, ROWS)


def test_a_study_of_a_real_run_has_no_fault(finished_study: Path) -> None:
    found = verify_study(reopen(finished_study))
    assert (found.faults, found.notes) == ([], [])
    assert found.n_rows > 0


def test_a_torn_file_is_named_and_the_others_are_checked(opened: OpenStudy) -> None:
    torn, *_ = files_of(opened.folder.path)
    torn.write_bytes(torn.read_bytes()[:-9])
    found = verified(opened)
    [fault] = found.faults
    assert (fault.file, fault.damaged) == (f"trials/{torn.name}", True)
    assert "is not a whole Parquet file" in fault.what
    assert found.n_rows == ROWS - 64


def test_bytes_changed_within_a_file_are_found(opened: OpenStudy) -> None:
    path = files_of(opened.folder.path)[1]
    content = bytearray(path.read_bytes())
    content[2000:2400] = bytes(400)
    path.write_bytes(content)
    assert {fault.file for fault in verified(opened).faults} == {f"trials/{path.name}"}


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"accuracy": 0.123}, "1 row with an accuracy that is not the mean of the outcomes"),
        ({"model_fingerprint": "other"}, "1 row with another model or task than this study's"),
        ({"task_fingerprint": "other"}, "1 row with another model or task than this study's"),
        ({"demo_seed": 5}, "1 row with a trial_id that their columns do not give"),
        ({"clips": []}, "1 row with a trial_id that their columns do not give"),
    ],
)
def test_a_wrong_row_is_told_with_its_trial(opened: OpenStudy, values: dict[str, object], what: str) -> None:
    path = files_of(opened.folder.path)[2]
    trial_id = change(path, 7, **values)
    [fault] = verified(opened).faults
    assert (fault.file, fault.what, fault.n_rows, fault.example) == (f"trials/{path.name}", what, 1, trial_id)


def test_a_complete_row_that_has_not_seen_all_examples_is_wrong(opened: OpenStudy) -> None:
    outcomes, margins = bytes([255] * 5), bytes(80)
    change(files_of(opened.folder.path)[0], 3, n_examples=40, outcomes=outcomes, margins=margins, accuracy=1.0)
    assert [fault.what for fault in verified(opened).faults] == [
        "1 row with a complete state and not all examples of the split"
    ]


def test_a_copy_of_a_file_is_told_and_its_rows_count_once(opened: OpenStudy) -> None:
    first, *_ = files_of(opened.folder.path)
    shutil.copy(first, first.with_name("part-zz-copy.parquet"))
    found = verified(opened)
    [fault] = found.faults
    assert fault.what == f"64 rows also in {first.name}; each trial counts once"
    assert (found.n_trials, found.copies) == (ROWS, ["part-zz-copy.parquet"])


def test_a_trial_that_is_complete_in_two_attempts_is_told(opened: OpenStudy) -> None:
    first, *_ = files_of(opened.folder.path)
    copy = first.with_name("part-zz.parquet")
    shutil.copy(first, copy)
    change(copy, 5, attempt=2)
    assert "1 row of trials that are complete in another row too" in " ".join(
        fault.what for fault in verified(opened).faults
    )


def test_what_a_killed_run_left_is_noted_and_is_no_fault(opened: OpenStudy) -> None:
    (opened.folder.trials / ".draft-1-part-x.parquet").write_bytes(b"torn")
    (opened.folder.trials / "notes.txt").write_text("mine")
    pieces = {path: path.read_bytes() for path in files_of(opened.folder.path)}
    opened.table.merge()
    for path, content in pieces.items():
        path.write_bytes(content)
    found = verified(opened)
    assert (found.faults, found.n_rows) == ([], ROWS)
    assert [note.partition(",")[0] for note in found.notes] == [
        "1 draft of a run that was killed",
        f"1 file of other names in {opened.folder.trials}",
        "4 files left by a merge that was cut off",
    ]


def test_a_damaged_note_of_the_end_is_a_fault(opened: OpenStudy) -> None:
    opened.folder.end.write_text("{")
    [fault] = verified(opened).faults
    assert "end.json is damaged" in fault.what


def test_the_words_name_each_fault_with_a_trial(opened: OpenStudy) -> None:
    path = files_of(opened.folder.path)[0]
    trial_id = change(path, 0, accuracy=2.0)
    words = describe_verified(verified(opened))
    assert words.splitlines()[0] == "253 rows of 253 trials in 4 files: 2 faults"
    assert f"  trials/{path.name}: 1 row with accuracy outside 0 to 1 (trial {trial_id})" in words
