"""What differs between a folder's study and the one that is asked for."""

from typing import Any

from clipsweep.orchestrator.plan.settings_beside import settings_beside
from clipsweep.orchestrator.study.check import check_study

EPISODES, TOPICS = {"name": "episodes", "validation_size": 20}, {"name": "topics", "weight": 2.0}
TEXT = {"name": "plain", "text": {"path": "a.txt", "length": 64}}


def study(**task: Any) -> dict[str, Any]:
    return check_study({"name": "s", "model": {"path": "embedded"}, "task": task}).model_dump()


def differing(stored: dict[str, Any], asked: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: pair for key, pair in settings_beside(stored, asked).items() if pair[0] != pair[1]}


def test_other_tasks_are_told_by_their_names_alone() -> None:
    two = study(weighted=[EPISODES, TOPICS])
    other = study(weighted=[EPISODES, {"name": "sst2"}])
    assert differing(two, other) == {"set of tasks": ("episodes, topics", "episodes, sst2")}
    assert differing(study(**EPISODES), two) == {"set of tasks": ("episodes", "episodes, topics")}


def test_of_tasks_in_both_each_key_that_differs_is_told() -> None:
    longer = TEXT | {"text": {"path": "a.txt", "length": 32}}
    text = {"name": "other", "text": "b.txt"}
    stored = study(weighted=[TEXT, text])
    asked = study(weighted=[longer, text | {"seed": 3, "weight": 5}])
    assert differing(stored, asked) == {"task plain.text.length": (64, 32), "task other.seed": (None, 3)}


def test_of_one_task_its_keys_are_told() -> None:
    stored, asked = study(name="episodes", seed=1), study(name="episodes", seed=2)
    assert differing(stored, asked) == {"task.seed": (1, 2)}


def test_nothing_is_told_of_a_folder_without_a_study_file() -> None:
    assert settings_beside({}, study(name="episodes")) == {}
