import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.claims.claims import Claims
from clipsweep.orchestrator.folder.lock import is_locked, read_holder, study_lock
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.errors import StudyBusyError
from tests.analysis.store.rows import stored_record
from tests.orchestrator.claims.stale import ended_process, left_behind, process_elsewhere


@pytest.fixture
def folder(tmp_path: Path) -> StudyFolder:
    """A study's folder, with a study file in it."""
    path = tmp_path / "s"
    path.mkdir()
    (path / "study.yaml").touch()
    return StudyFolder(path)


@pytest.fixture
def older(folder: StudyFolder) -> Iterator[None]:
    """A process of an earlier version, which knows no claims, runs the study."""
    code = (
        "import sys; from filelock import FileLock\n"
        "lock = FileLock(sys.argv[1]); lock.acquire(); print('held', flush=True); input()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder.lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    folder.holder.write_text(json.dumps({"pid": 77, "node": "there", "since": "noon"}))
    yield
    process.communicate("\n", timeout=60)


def test_a_study_is_held_inside_the_block_and_free_after_it(folder: StudyFolder) -> None:
    assert not is_locked(folder)
    with study_lock(folder):
        assert is_locked(folder)
    assert not is_locked(folder)


def test_who_holds_a_study_is_told(folder: StudyFolder) -> None:
    assert read_holder(folder) is None
    with study_lock(folder):
        holder = read_holder(folder)
    assert holder is not None
    assert (holder.pid, holder.alive, holder.paused) == (os.getpid(), True, False)
    assert holder.beat_age_seconds is not None


def test_a_process_that_has_ended_holds_nothing_but_is_told(folder: StudyFolder) -> None:
    left_behind(folder.claims, ended_process())
    holder = read_holder(folder)
    assert holder is not None
    assert holder.alive is False
    assert not is_locked(folder)


def test_whether_a_process_elsewhere_lives_is_told_by_its_last_sign_of_life(folder: StudyFolder) -> None:
    claims = left_behind(folder.claims, process_elsewhere(), beat_seconds=5)
    holder = read_holder(folder)
    assert holder is not None
    assert (holder.alive, holder.host) == (None, "elsewhere")
    assert is_locked(folder)
    os.utime(claims.beat_path(7), (0, 0))
    assert not is_locked(folder)


def test_a_folder_that_may_only_be_read_says_who_holds_it(folder: StudyFolder) -> None:
    claims = left_behind(folder.claims, process_elsewhere(), beat_seconds=5)
    assert claims.newest() is not None
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")}
    for path in (folder.path, folder.claims):
        path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        assert is_locked(folder)
    finally:
        for path in (folder.path, folder.claims):
            path.chmod(stat.S_IRWXU)
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*")} == before


@pytest.mark.parametrize("number", [errno.ENOTSUP, errno.ENOLCK, errno.ENOSYS])
def test_no_lock_of_the_operating_system_is_needed(
    folder: StudyFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(opened: int, how: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with study_lock(folder) as held:
        with pytest.raises(StudyBusyError, match=rf"is being run by process {os.getpid()} on"), study_lock(folder):
            pass
        held.check()


def test_a_process_of_an_earlier_version_is_respected(folder: StudyFolder, older: None) -> None:
    with pytest.raises(StudyBusyError, match="is being run by process 77 on there since noon"), study_lock(folder):
        pass
    assert is_locked(folder)
    assert not folder.claims.exists()


def test_an_earlier_version_sees_that_a_study_is_held(folder: StudyFolder) -> None:
    code = "import sys; from filelock import FileLock; FileLock(sys.argv[1]).acquire(timeout=0)"
    with study_lock(folder):
        done = subprocess.run([sys.executable, "-c", code, str(folder.lock)], capture_output=True, text=True)
    assert "Timeout" in done.stderr


def test_what_an_earlier_version_left_holds_nothing(folder: StudyFolder) -> None:
    folder.lock.touch()
    folder.holder.write_text("{torn")
    assert read_holder(folder) is None
    with study_lock(folder):
        assert not folder.holder.exists()


def test_a_claim_is_above_those_that_rows_were_written_under(folder: StudyFolder) -> None:
    table = ResultsTable(folder.trials)
    table.take_over(41, lambda: None)
    table.append([stored_record()])
    with study_lock(folder) as held:  # as in a copy of a study without its hidden files
        assert held.token == 42


def test_nothing_is_left_of_a_study_that_never_began(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "new" / "s")
    with study_lock(folder):
        folder.log.touch()
    assert not (tmp_path / "new").exists()


def test_a_study_that_never_began_is_left_where_another_process_has_claimed_it(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "s")
    with study_lock(folder) as held:
        claims = Claims(folder.claims)
        newest = claims.newest()
        assert newest is not None
        claims.make(replace(newest, number=held.token + 1))
    assert is_locked(folder)
