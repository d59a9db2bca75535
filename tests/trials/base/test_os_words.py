import errno
import os
import re
from pathlib import Path

import pytest

from clipsweep.trials.base.errors import PlaceError, StoreError
from clipsweep.trials.base.os_words import (
    check_folder,
    check_output,
    missing_folders,
    remove_empty,
    word_os_error,
    worded_as,
)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "reading a.txt failed: permission denied. Change its rights"),
        (errno.EROFS, "reading a.txt failed: the file system can only be read"),
        (errno.ENOSPC, "reading a.txt failed: no space is left there"),
        (errno.ENOTDIR, "reading a.txt failed: a part of the path is a file"),
        (errno.EPIPE, "reading a.txt failed: broken pipe"),
    ],
)
def test_an_error_is_worded_without_its_number(number: int, words: str) -> None:
    said = word_os_error(OSError(number, os.strerror(number), "a.txt"), "reading a.txt")
    assert said.startswith(words)
    assert "Errno" not in said


def test_an_error_that_only_knows_its_path_names_it() -> None:
    error = PermissionError(errno.EACCES, "Permission denied", "/etc/x")
    assert word_os_error(error) == "using /etc/x failed: permission denied. Change its rights, or choose another place."


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "a" / "b"):
        with pytest.raises(PlaceError, match="making the study's folder, .*/file"):
            check_folder(folder, "the study's folder")


def test_a_folder_that_no_one_can_make_is_refused() -> None:
    with pytest.raises(PlaceError, match="making it, /proc/x/y, failed: no such file or folder"):
        check_folder(Path("/proc/x/y"), "it")


def test_a_folder_that_could_be_made_is_not_left_behind(tmp_path: Path) -> None:
    check_folder(tmp_path / "a" / "b", "it")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_there_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    check_folder(tmp_path, "it")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_a_folder_in_the_place_of_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="is a folder; expected the path of a file for the report"):
        check_output(tmp_path, "the report")


def test_of_a_draft_and_what_it_was_to_become_the_latter_is_named() -> None:
    error = OSError(errno.EISDIR, "Is a directory", "a/.draft-1-r.html", None, "a/r.html")
    assert word_os_error(error) == "using a/r.html failed: it is a folder. Give the path of a file."


def test_a_folder_that_another_has_put_something_into_stays(tmp_path: Path) -> None:
    made = missing_folders(tmp_path / "a" / "b")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "theirs").touch()
    remove_empty(made)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["theirs"]


def test_what_is_refused_before_anything_has_begun_is_bad_input() -> None:
    with pytest.raises(PlaceError, match="using x failed: permission denied"), worded_as(PlaceError):
        raise PermissionError(errno.EACCES, "Permission denied", "x")


def test_an_error_of_ours_stays_what_it_is() -> None:
    with pytest.raises(StoreError, match="as it was"), worded_as(PlaceError):
        raise StoreError("as it was")


def test_a_path_without_end_is_not_repeated_whole() -> None:
    said = word_os_error(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000), "looking for it")
    assert said == f"looking for it failed: the name is too long ({'x' * 80}…). Choose a shorter one."


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_of_a_disk_that_refuses_the_free_space_is_told(tmp_path: Path, number: int) -> None:
    said = word_os_error(OSError(number, os.strerror(number)), "writing", tmp_path / "not" / "yet" / "there")
    assert re.search(r"there\), [\d,.]+ of [\d,.]+ MiB free\. ", said)


def test_a_reader_who_has_gone_away_is_no_fault_of_a_disk() -> None:
    with pytest.raises(BrokenPipeError), worded_as(PlaceError):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
