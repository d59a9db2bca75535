import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clipsweep.analysis.store.row import StoredRow
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.upkeep.compact import compact_study, describe_compacted
from clipsweep.trials.base.errors import StudyBusyError
from tests.orchestrator.upkeep.studies import files_of, stored_study

FAULTS = (
    "fsync:error=EIO:when=1",
    "write:error=ENOSPC:when=8+",
    "rename:signal=SIGKILL:when=2",
    "unlink:signal=SIGKILL:when=2",
)


def compact_under(fault: str, folder: Path) -> None:
    """Compact a study in a process of its own, in which a system call fails, or kills it."""
    code = (
        "import sys; from pathlib import Path; from clipsweep.orchestrator.folder.open_study import reopen; "
        "from clipsweep.orchestrator.upkeep.compact import compact_study; compact_study(reopen(Path(sys.argv[1])))"
    )
    traced = [
        "strace",
        "-f",
        "-qq",
        "-o",
        os.devnull,
        "-e",
        f"trace={fault.partition(':')[0]}",
        "-e",
        f"inject={fault}",
    ]
    subprocess.run([*traced, sys.executable, "-c", code, str(folder)], capture_output=True, check=False)


def rows_of(folder: Path) -> list[StoredRow]:
    return list(ResultsTable(folder / "trials").read())


def test_a_compacted_study_has_the_same_rows_in_one_file_that_is_smaller(tmp_path: Path) -> None:
    opened = stored_study(tmp_path / "s")
    before = rows_of(tmp_path / "s")
    done = compact_study(opened)
    assert (done.files_before, done.files) == (4, 1)
    assert len(files_of(tmp_path / "s")) == 1
    assert rows_of(tmp_path / "s") == before
    assert done.bytes < done.bytes_before
    assert describe_compacted(done).startswith("4 files of ")


def test_to_compact_again_changes_nothing(tmp_path: Path) -> None:
    compact_study(stored_study(tmp_path / "s"))
    before = files_of(tmp_path / "s")
    compact_study(reopen(tmp_path / "s"))
    assert files_of(tmp_path / "s") == before


def test_a_study_that_runs_is_not_compacted(tmp_path: Path) -> None:
    opened = stored_study(tmp_path / "s")
    with study_lock(opened.folder), pytest.raises(StudyBusyError, match="is being run"):
        compact_study(reopen(tmp_path / "s"))
    assert len(files_of(tmp_path / "s")) == 4


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not there")
@pytest.mark.parametrize("fault", FAULTS)
def test_compacting_that_is_cut_off_loses_no_row_and_is_finished_by_the_next(tmp_path: Path, fault: str) -> None:
    stored_study(tmp_path / "s")
    before = rows_of(tmp_path / "s")
    compact_under(fault, tmp_path / "s")
    assert rows_of(tmp_path / "s") == before
    compact_study(reopen(tmp_path / "s"))
    assert (len(files_of(tmp_path / "s")), rows_of(tmp_path / "s")) == (1, before)
