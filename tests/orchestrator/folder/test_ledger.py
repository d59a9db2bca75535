from pathlib import Path

import pytest

from clipsweep.orchestrator.folder.ledger import forgive_deaths, read_deaths
from clipsweep.orchestrator.folder.study_folder import StudyFolder
from clipsweep.trials.base.errors import StoreError


def test_a_study_without_deaths_has_none(tmp_path: Path) -> None:
    assert read_deaths(StudyFolder(tmp_path)) == {}


def test_deaths_that_are_forgiven_are_not_read_again(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path)
    folder.deaths.write_text('{"a": 3}')
    assert read_deaths(folder) == {"a": 3}
    forgive_deaths(folder)
    assert read_deaths(folder) == {}


@pytest.mark.parametrize("content", ["", "[]", '{"a": "many"}', '{"a": null}'])
def test_a_damaged_note_of_deaths_is_named_with_the_mend(tmp_path: Path, content: str) -> None:
    folder = StudyFolder(tmp_path)
    folder.deaths.write_text(content)
    with pytest.raises(StoreError, match=r"deaths.json is damaged: .* Delete it: trials that took their replicas"):
        read_deaths(folder)
