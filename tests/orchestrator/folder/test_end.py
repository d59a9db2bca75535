from pathlib import Path

import pytest

from clipsweep.orchestrator.folder.end import End, earlier_end, forget_end, read_end, write_end
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StoreError
from tests.analysis.store.rows import failed_row, stored_row

ROWS = {"a": stored_row("a"), "b": stored_row("b")}


@pytest.fixture
def study() -> Study:
    return check_study({"name": "s", "model": {"path": "embedded"}, "task": {"name": "episodes"}})


def test_a_note_that_was_written_is_read_back_until_it_is_forgotten(study: Study, tmp_path: Path) -> None:
    folder, end = StudyFolder(tmp_path), End.of(study, ROWS, "n_trials: 2")
    write_end(folder, end)
    assert read_end(folder) == earlier_end(folder) == end
    forget_end(folder)
    assert read_end(folder) is None


def test_an_end_holds_while_the_study_asks_for_the_same_and_no_row_is_missing(study: Study) -> None:
    end = End.of(study, ROWS, None)
    assert end.still_holds(study, ROWS)
    assert end.still_holds(study.model_copy(update={"name": "other"}), ROWS)
    other = check_study({"name": "s", "model": {"path": "embedded"}, "task": {"name": "episodes", "seed": 1}})
    assert not end.still_holds(other, ROWS)
    assert not end.still_holds(study, {"a": ROWS["a"]})


def test_an_end_with_a_failed_trial_never_holds_as_that_is_tried_again(study: Study) -> None:
    rows = {**ROWS, "c": failed_row(trial_id="c")}
    assert not End.of(study, rows, None).still_holds(study, rows)


def test_an_end_that_an_older_version_noted_does_not_hold(study: Study) -> None:
    assert not End(stopped_by=None).still_holds(study, ROWS)


def test_a_damaged_note_is_told_of_and_counts_as_none_for_a_run(tmp_path: Path) -> None:
    (tmp_path / "end.json").write_text('{"stopped_by": 3}')
    with pytest.raises(StoreError, match="written anew"):
        read_end(StudyFolder(tmp_path))
    assert earlier_end(StudyFolder(tmp_path)) is None
