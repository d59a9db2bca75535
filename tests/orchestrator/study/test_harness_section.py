"""A task of lm-evaluation-harness in a study file: how it is said, and what is refused beside it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.tasks.settings import HarnessSettings


def of(**task: Any) -> Study:
    return check_study({"name": "mine", "model": {"path": "embedded"}, "task": task})


def test_a_name_is_a_task_of_the_harness_and_what_rows_and_folders_call_it() -> None:
    study = of(lm_eval="hellaswag")
    assert study.task.name == "hellaswag"
    assert study.task_settings().lm_eval == HarnessSettings(name="hellaswag")


def test_a_name_that_the_paper_has_is_another_in_rows_so_that_published_scores_are_not_put_beside_it() -> None:
    study = of(lm_eval="rte")
    assert study.task.name == "harness-rte"
    assert study.task_settings().lm_eval == HarnessSettings(name="rte")
    members = of(weighted=[{"name": "rte"}, {"lm_eval": {"name": "rte"}}], validation_size=None).task.members
    assert [each.name for each in members] == ["rte", "harness-rte"]


def test_a_name_that_laser_has_stays() -> None:
    assert of(lm_eval="hotpotqa").task.name == "hotpotqa"


def test_its_own_name_may_be_given_beside_it() -> None:
    assert of(name="mine", lm_eval={"name": "hellaswag", "metric": "acc_norm"}).task.name == "mine"


def test_the_written_study_is_read_as_the_same_one() -> None:
    study = of(lm_eval={"name": "hellaswag", "metric": "acc_norm"})
    assert check_study(yaml.safe_load(study.to_yaml())) == study


def test_neither_a_name_nor_another_way_is_refused_with_both() -> None:
    with pytest.raises(StudyError, match=r"'task.name' is missing; .*task.name=sst2, or a task of the harness"):
        of(validation_size=10)


def test_two_ways_of_saying_what_the_task_is_are_refused() -> None:
    definition = {"data": {"path": "rows"}, "query": "{text}", "labels": [" no", " yes"]}
    with pytest.raises(StudyError, match=r"task.definition and task.lm_eval both say what the task is.*Remove"):
        of(name="mine", definition=definition, lm_eval="hellaswag")


@pytest.mark.parametrize(
    ("key", "value"),
    [("variant", "release"), ("path", "rows"), ("demonstrations", 8), ("truncate", "demonstrations")],
)
def test_a_key_without_effect_is_refused(key: str, value: object) -> None:
    with pytest.raises(StudyError, match=rf"'task.{key}' is .*task.lm_eval does not use it.*Remove the key"):
        of(lm_eval="hellaswag", **{key: value})


def test_an_unknown_key_of_it_is_refused_with_those_there_are() -> None:
    with pytest.raises(StudyError, match=r"no study key 'task.lm_eval.metrics'; known .*include_path, folder, metric"):
        of(lm_eval={"name": "hellaswag", "metrics": "acc"})


def test_a_list_of_tasks_beside_it_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'tasks' and 'task.lm_eval' both say"):
        read_studies({"name": "m", "model": {"path": "embedded"}, "tasks": ["sst2"], "task": {"lm_eval": "copa"}})


def test_its_folder_of_tasks_is_looked_for_beside_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    content = {
        "name": "m",
        "model": {"path": "embedded"},
        "task": {"lm_eval": {"name": "own", "include_path": "mine"}},
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(content))
    (study,) = read_studies(tmp_path / "study.yaml")
    assert study.task.lm_eval is not None
    assert study.task.lm_eval.include_path == str((tmp_path / "mine").resolve())
