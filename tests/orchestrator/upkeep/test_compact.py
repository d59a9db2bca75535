from pathlib import Path

import pytest

from clipsweep.analysis.store.row import StoredRow
from clipsweep.analysis.store.table import ResultsTable
from clipsweep.orchestrator.folder.lock import study_lock
from clipsweep.orchestrator.folder.open_study import reopen
from clipsweep.orchestrator.upkeep.compact import compact_study, describe_compacted
from clipsweep.trials.base.errors import StudyBusyError
from tests.orchestrator.upkeep.studies import files_of, stored_study


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
