from pathlib import Path

import pytest

from clipsweep.orchestrator.source.find_file import SHIPPED, find_study_file
from clipsweep.trials.base.errors import StudyError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a study file."""
    (tmp_path / "study.yaml").write_text("name: a\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("stduy.yaml", r"^no such file: 'stduy.yaml'; .* Did you mean 'study.yaml'\?$"),
        ("other.yml", r"^no such file: 'other.yml'; .* 'clipsweep init' writes one"),
        ("nowhere/study.yaml", "there is no folder 'nowhere'"),
        ("./studdy.yaml", r"Did you mean 'study.yaml'\?"),
        ("quikstart", "no study 'quikstart'; known: .* Did you mean 'quickstart'.* Or give the path of a YAML file"),
        ("study", "no study 'study'.* Did you mean the file 'study.yaml'"),
        ("n" * 300, "failed: the name is too long"),
        ("study.yaml/inside.yaml", "no such file"),
    ],
)
def test_what_is_no_file_and_no_shipped_study_is_refused_with_what_was_meant(name: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        find_study_file(name)


def test_a_folder_that_is_a_study_says_how_to_go_on_with_it() -> None:
    with pytest.raises(StudyError, match=r"is a folder; .* Did you mean '.*/study.yaml'\? To go on .* add --dir "):
        find_study_file(Path.cwd())


def test_of_a_study_s_folder_the_yaml_file_is_named_and_no_note_of_the_run(here: Path) -> None:
    (here / "mine").mkdir()
    for name in (".holder.json", "end.json", "identity.json", "study.yaml"):
        (here / "mine" / name).touch()
    with pytest.raises(StudyError, match="Did you mean 'mine/study.yaml'"):
        find_study_file("mine")


def test_a_folder_that_holds_no_study_names_a_file_in_it(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "a.yaml").touch()
    with pytest.raises(StudyError, match="is a folder; expected a study's YAML file.* Did you mean 'mine/a.yaml'"):
        find_study_file("mine")


def test_a_folder_of_a_shipped_name_does_not_hide_the_shipped_study(here: Path) -> None:
    (here / "quickstart").mkdir()
    assert find_study_file("quickstart") == SHIPPED / "quickstart.yaml"
