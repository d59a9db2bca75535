"""Several tasks in one score, and guards: what is refused before anything is loaded."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.check_tasks import check_metrics
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError, TaskError

EPISODES, TOPICS = {"name": "episodes", "weight": 2}, {"name": "topics", "weight": 1}
F1 = {"data": {"path": "rows"}, "query": "{text}", "labels": [" no", " yes"], "metric": "macro_f1"}


def several(*tasks: dict[str, Any], task: dict[str, Any] | None = None, **sections: Any) -> Study:
    weighted = [{"weight": 1, **each} for each in tasks] or [EPISODES, TOPICS]
    content = {"name": "s", "model": {"path": "embedded"}, "task": {"weighted": weighted, **(task or {})}}
    return check_study(content | sections)


def guarded(**guard: Any) -> Study:
    return several(search={"guard": [guard]})


def test_a_study_of_several_tasks_is_named_by_all_of_them() -> None:
    assert several().task.name == "episodes+topics"
    assert several(EPISODES, {"text": "t.txt"}).task.name == "episodes+text"


def test_each_member_holds_the_keys_of_a_task() -> None:
    study = several({"name": "episodes", "validation_size": 30}, TOPICS)
    assert [(task.name, task.validation_size) for task in study.task.members] == [("episodes", 30), ("topics", None)]
    assert study.of_task("topics").task_settings().name == "topics"


@pytest.mark.parametrize(
    ("tasks", "words"),
    [
        ([{"name": "episodes", "weight": -1}], "'task.weighted.0.weight' is -1; expected a number of 0 or more"),
        ([{"name": "episodes", "weight": 0}], "weights of 0 alone, so that no task counts; expected one above 0"),
        ([EPISODES, EPISODES], "'task.weighted' names task 'episodes' twice; expected each once"),
        ([EPISODES, {"name": "topics", "weight": 0}], "a weight of 0, and search.guard does not name it"),
        ([EPISODES, {"name": "sst2", "variant": "release"}], "in variant 'release'.*expected 'paper'"),
        ([EPISODES, {"name": "x", "definition": F1, "lm_eval": "y"}], "both say what the task is"),
    ],
)
def test_weights_that_say_nothing_are_refused(tasks: list[dict[str, Any]], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        several(*tasks)


def test_an_empty_list_of_tasks_is_refused() -> None:
    with pytest.raises(StudyError, match=r"'task.weighted' is \[\]; expected a list of one task or more"):
        several(task={"weighted": []})


def test_keys_of_one_task_have_no_place_beside_several() -> None:
    with pytest.raises(StudyError, match="'task.validation_size' stands beside task.weighted.*Move it there"):
        several(task={"validation_size": 10})


def test_a_guard_must_be_a_task_of_the_study() -> None:
    with pytest.raises(StudyError, match=r"names task 'rte', which is not in task.weighted \(episodes, topics\)"):
        guarded(task="rte")
    with pytest.raises(StudyError, match="not in task.weighted .none, as task.weighted is not there"):
        check_study(
            {
                "name": "s",
                "model": {"path": "embedded"},
                "task": {"name": "episodes"},
                "search": {"guard": [{"task": "episodes"}]},
            }
        )


def test_a_task_is_guarded_once() -> None:
    with pytest.raises(StudyError, match="'search.guard' names task 'topics' twice"):
        several(search={"guard": [{"task": "topics"}, {"task": "topics"}]})


def test_a_guard_gives_a_loss_in_the_units_of_its_task() -> None:
    with pytest.raises(StudyError, match=r"'search.guard.0.lose_at_most' is -0.1; expected a number of 0 or more"):
        guarded(task="topics", lose_at_most=-0.1)
    with pytest.raises(StudyError, match="lets task 'topics' lose 1, but its metric 'accuracy' is a fraction"):
        check_metrics(guarded(task="topics", lose_at_most=1.0))


def test_tasks_of_different_metrics_have_no_mean() -> None:
    with pytest.raises(StudyError, match="episodes by accuracy, mine by macro_f1; expected one metric"):
        check_metrics(several(EPISODES, {"name": "mine", "definition": F1}))
    with pytest.raises(StudyError, match="episodes by accuracy, text by nll; expected one metric"):
        check_metrics(several(EPISODES, {"text": "t.txt"}))


def test_text_may_guard_a_search_by_accuracy() -> None:
    guard = {"guard": [{"task": "text", "lose_at_most": 2.0}]}
    check_metrics(several(EPISODES, {"text": "t.txt", "weight": 0}, search=guard))


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"search": {"race": "halving"}}, "'search.race' is 'halving', which stops trials by the rows of one task"),
        ({"search": {"screen": {"rows": 50}}}, "'search.screen' predicts by the rows of one task"),
        ({"space": {"layers": {"top_screen": 0.5}}}, "'space.layers.top_screen' predicts by the rows of one task"),
        ({"search": {"winner": "one_standard_error"}}, "a rule of the rows of one task; expected 'best_mean'"),
    ],
)
def test_what_looks_at_the_rows_of_one_task_is_refused(sections: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        several(**sections)


def test_a_guard_task_without_rows_is_refused_before_a_model_is_loaded(
    make_study: Callable[..., dict[str, Any]], tmp_path: Path, cache: Path
) -> None:
    rows = tmp_path / "none"
    rows.mkdir()
    tasks = [EPISODES | {"validation_size": 20}, {"name": "mine", "weight": 0, "definition": F1, "path": str(rows)}]
    content = make_study() | {"task": {"weighted": tasks}, "search": {"guard": [{"task": "mine"}]}}
    tasks[1]["definition"] = F1 | {"metric": "accuracy"}
    with pytest.raises(TaskError, match="none"):
        prepare(check_study(content), tmp_path / "s", cache)


def test_kinds_that_look_at_texts_would_score_another_model_for_each_task(
    make_study: Callable[..., dict[str, Any]], tmp_path: Path, cache: Path
) -> None:
    tasks = [each | {"validation_size": 20, "test_size": 20} for each in (EPISODES, TOPICS)]
    content = make_study(space={"kinds": ["whitened"]}) | {"task": {"weighted": tasks}}
    with pytest.raises(StudyError, match="'space.kinds' has 'whitened', whose clips depend on the texts"):
        prepare(check_study(content), tmp_path / "s", cache)


def test_a_list_of_studies_is_no_list_of_weights() -> None:
    content = {"name": "s", "model": {"path": "embedded"}, "tasks": ["sst2"], "task": {"weighted": [EPISODES]}}
    with pytest.raises(StudyError, match="'tasks' and 'task.weighted' both say what the task is"):
        read_studies(content)


def test_a_definition_in_a_file_is_read_into_its_entry(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {path: rows}\nquery: '{text}'\nlabels: [' no', ' yes']\n")
    study = tmp_path / "s.yaml"
    study.write_text(
        "name: s\nmodel: {path: embedded}\ntask:\n  weighted:\n  - {name: episodes}\n"
        "  - {name: mine, weight: 1, definition: mine.yaml}\n"
    )
    (read,) = read_studies(study)
    assert read.task.members[1].definition is not None


def test_what_is_wrong_with_one_of_several_tasks_is_told_with_its_place() -> None:
    with pytest.raises(StudyError, match=r"no study key 'task.weighted.1.validation_sise'"):
        several(EPISODES, {"name": "topics", "validation_sise": 3})
