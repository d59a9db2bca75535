"""Text in a study file: how it is said, and what is refused beside it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.plan.prepare import fill_in
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.files import read_studies, study_of_task
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.tasks.settings import TextSettings, TextSplits


def of(space: dict[str, Any] | None = None, /, **task: Any) -> Study:
    return check_study({"name": "mine", "model": {"path": "embedded"}, "task": task, "space": space or {}})


def test_a_path_is_text_of_that_path_and_the_task_is_called_text() -> None:
    study = of(text="wiki.txt")
    assert study.task.name == "text"
    assert study.task_settings().text == TextSettings(path="wiki.txt", column="text", length=1024)


def test_a_name_may_be_given_beside_it() -> None:
    splits = {"validation": "validation", "test": "test"}
    study = of(name="wiki", text={"path": "a/b", "splits": splits, "length": 512, "stride": 256})
    assert study.task.name == "wiki"
    assert study.task_settings().text == TextSettings(
        path="a/b", splits=TextSplits(validation="validation", test="test"), length=512, stride=256
    )


def test_the_resolved_study_is_read_as_the_same_one() -> None:
    study = fill_in(of(text={"path": "wiki.txt", "length": 64}))
    assert study.space.shots == [0]
    assert check_study(yaml.safe_load(study.to_yaml())) == study


@pytest.mark.parametrize(("key", "value"), [("shots", [0, 4]), ("demo_seeds", [1])])
def test_demonstrations_are_refused(key: str, value: list[int]) -> None:
    with pytest.raises(StudyError, match=rf"'space.{key}' is .*no demonstrations.*Remove space.{key}"):
        of({key: value}, text="wiki.txt")


@pytest.mark.parametrize(
    ("key", "value"),
    [("variant", "release"), ("path", "rows"), ("demonstrations", 8), ("truncate", "demonstrations")],
)
def test_a_key_without_effect_is_refused(key: str, value: object) -> None:
    with pytest.raises(StudyError, match=rf"'task.{key}' is .*task.text does not use it.*Remove the key"):
        of(text="wiki.txt", **{key: value})


def test_a_window_of_one_token_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'task.text.length' is 1; expected 2 tokens or more"):
        of(text={"path": "wiki.txt", "length": 1})


def test_an_unknown_key_of_it_is_refused_with_those_there_are() -> None:
    with pytest.raises(StudyError, match=r"no study key 'task.text.windows'; known .*length, .*stride"):
        of(text={"path": "wiki.txt", "windows": 9})


def test_a_list_of_tasks_beside_it_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'tasks' and 'task.text' both say"):
        read_studies({"name": "m", "model": {"path": "embedded"}, "tasks": ["sst2"], "task": {"text": "wiki.txt"}})


@pytest.mark.parametrize("text", ["wiki.txt", {"path": "wiki.txt"}])
def test_it_is_looked_for_beside_the_study_file(text: object, tmp_path: Path) -> None:
    (tmp_path / "wiki.txt").write_text("some text")
    content = {"name": "m", "model": {"path": "embedded"}, "task": {"text": text}}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    (study,) = read_studies(tmp_path / "study.yaml")
    assert study.task.text is not None
    assert study.task.text.path == str((tmp_path / "wiki.txt").resolve())


def test_keys_can_be_set_beside_a_path_that_stands_alone() -> None:
    study = study_of_task("text", "embedded", [("task.text", "wiki.txt"), ("task.text.length", 64)])
    assert study.task_settings().text == TextSettings(path="wiki.txt", length=64)
