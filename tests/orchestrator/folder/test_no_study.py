from pathlib import Path

import pytest

from clipsweep.orchestrator.folder.no_study import no_study
from clipsweep.orchestrator.folder.study_folder import StudyFolder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with one study."""
    (tmp_path / "studies" / "quickstart").mkdir(parents=True)
    (tmp_path / "studies" / "quickstart" / "identity.json").touch()
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / "study.yaml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("quickstart", "Did you mean 'studies/quickstart'?"),
        ("studies/quikstart", "Did you mean 'studies/quickstart'?"),
        ("elsewhere", "elsewhere holds no study; expected the folder that 'clipsweep run' named"),
        ("elsewhere", "'clipsweep list' shows the studies there are."),
        ("studies/quickstart", "'clipsweep list' shows the studies there are."),
        ("begun", "begun holds no study that was run: study.yaml is there, identity.json is not"),
        ("begun", "clipsweep run begun/study.yaml --dir begun"),
        ("begun/study.yaml", "begun/study.yaml is a file and holds no study;"),
        ("studies/quickstart/identity.json", "Did you mean 'studies/quickstart'?"),
    ],
)
def test_where_there_is_no_study_it_says_what_is_there_and_what_was_meant(path: str, words: str) -> None:
    assert words in no_study(StudyFolder(Path(path)))
