import shutil
from pathlib import Path

import pytest

from clipsweep.orchestrator.folder.open_study import OpenStudy, reopen
from clipsweep.orchestrator.upkeep.repair import repair
from clipsweep.orchestrator.upkeep.verify import verify_study
from tests.orchestrator.upkeep.studies import ROWS, change, files_of, stored_study, trials_in


@pytest.fixture
def opened(tmp_path: Path) -> OpenStudy:
    return stored_study(tmp_path / "s")


def repaired(opened: OpenStudy) -> list[str]:
    again = reopen(opened.folder.path)
    moved = repair(again, verify_study(again))
    after = verify_study(reopen(opened.folder.path))
    assert (after.faults, after.notes) == ([], [])
    return moved


def test_a_damaged_file_is_moved_as_it_is_and_its_trials_run_again(opened: OpenStudy) -> None:
    torn, *_ = files_of(opened.folder.path)
    content = torn.read_bytes()[:-9]
    torn.write_bytes(content)
    assert repaired(opened) == [f"damaged/{torn.name}"]
    assert (opened.folder.path / "damaged" / torn.name).read_bytes() == content
    assert len(trials_in(opened.folder.path)) == ROWS - 64


@pytest.mark.parametrize("name", ["spectrum.parquet", "screen.parquet", "theory.parquet"])
def test_a_damaged_file_beside_the_rows_is_moved_and_the_rows_stay(opened: OpenStudy, name: str) -> None:
    (opened.folder.path / name).write_bytes(b"damaged")
    assert repaired(opened) == [f"damaged/{name}"]
    assert len(trials_in(opened.folder.path)) == ROWS


def test_of_a_file_with_a_wrong_row_the_others_stay(opened: OpenStudy) -> None:
    path = files_of(opened.folder.path)[1]
    before = trials_in(opened.folder.path)
    trial_id = change(path, 9, accuracy=0.123)
    assert repaired(opened) == [f"damaged/{path.name}"]
    assert before - trials_in(opened.folder.path) == {trial_id}


def test_a_copy_is_moved_and_nothing_is_lost(opened: OpenStudy) -> None:
    first, *_ = files_of(opened.folder.path)
    shutil.copy(first, first.with_name("part-zz-copy.parquet"))
    assert repaired(opened) == ["damaged/part-zz-copy.parquet"]
    assert len(trials_in(opened.folder.path)) == ROWS


def test_a_file_that_was_moved_before_is_not_written_over(opened: OpenStudy) -> None:
    name = files_of(opened.folder.path)[0].name
    for content in (b"one", b"two"):
        (opened.folder.trials / name).write_bytes(content)
        repaired(opened)
    assert {path.read_bytes() for path in (opened.folder.path / "damaged").iterdir()} == {b"one", b"two"}


def test_a_file_of_a_newer_version_is_left_where_it_is(opened: OpenStudy) -> None:
    path = files_of(opened.folder.path)[0]
    change(path, 0, schema_version=99)
    again = reopen(opened.folder.path)
    assert repair(again, verify_study(again)) == []
    assert path.exists()
