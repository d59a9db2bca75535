import os
import shutil
import tempfile
from pathlib import Path

import pytest

from clipsweep.orchestrator.status.listing import list_studies
from clipsweep.trials.base.errors import PlaceError


@pytest.fixture
def root(finished_study: Path, tmp_path: Path) -> Path:
    """A folder with a finished study two levels down, a damaged one, a half-made one, and a study within another."""
    shutil.copytree(finished_study, tmp_path / "mine" / "whole")
    shutil.copytree(finished_study, tmp_path / "mine" / "whole" / "copy")
    shutil.copytree(finished_study, tmp_path / "damaged")
    (tmp_path / "damaged" / "identity.json").write_text("{")
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "study.yaml").write_text("name: a\n")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "study.yaml").write_text("name: a\n")
    (tmp_path / "other" / "notes.txt").touch()
    (tmp_path / "killed").mkdir()
    for name in ("study.yaml", ".lock", "log.txt"):
        (tmp_path / "killed" / name).touch()
    shutil.copytree(finished_study, tmp_path / ".hidden")
    return tmp_path


def test_every_study_below_a_folder_is_listed_also_half_made_and_damaged_ones(root: Path) -> None:
    listed = {Path(each.dir).relative_to(root).as_posix(): each.state for each in list_studies(root)}
    assert listed == {"begun": "not run", "damaged": "damaged", "killed": "not run", "mine/whole": "done"}


def test_a_study_is_listed_with_how_far_it_is_and_its_best_score(root: Path) -> None:
    [each] = list_studies(root / "mine")
    assert (each.name, each.done, each.total, each.metric) == ("tiny", 7, 7, "accuracy")
    assert each.score is not None
    assert 0 <= each.score <= 1
    assert each.document()["last_run"] is not None


def test_a_damaged_study_says_what_is_wrong(root: Path) -> None:
    [damaged] = [each for each in list_studies(root) if each.state == "damaged"]
    assert "identity.json is damaged" in (damaged.problem or "")


def test_a_study_may_be_asked_for_itself(root: Path) -> None:
    assert [each.name for each in list_studies(root / "mine" / "whole")] == ["tiny"]


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlaceError, match="nowhere is no folder; expected one that holds studies"):
        list_studies(tmp_path / "nowhere")


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can take away its own rights and get them back")
def test_a_folder_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    for each in tmp_path.parents:
        if each.is_relative_to(tempfile.gettempdir()) and each != Path(tempfile.gettempdir()):
            each.chmod(0o755)
    folder = tmp_path / "theirs"
    folder.mkdir(0o711)
    tmp_path.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(PlaceError, match="looking for studies in .*theirs failed: permission denied"):
            list_studies(folder)
    finally:
        os.seteuid(0)
