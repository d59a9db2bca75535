"""Several tasks in one score, and guards: what is refused before anything is loaded."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.plan.prepare import fill_in, prepare
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.check_tasks import check_metrics
from clipsweep.orchestrator.study.files import read_studies, study_of_task
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
    with pytest.raises(StudyError, match="names task 'episodes', but the study has one task.*weighted: .{name: sst2"):
        check_study(
            {
                "name": "s",
                "model": {"path": "embedded"},
                "task": {"name": "episodes"},
                "search": {"guard": [{"task": "episodes"}]},
            }
        )


def test_null_is_no_guard() -> None:
    assert several(search={"guard": None}).search.guard == []


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


def test_answers_that_differ_by_row_have_no_f1() -> None:
    chosen = {key: value for key, value in F1.items() if key != "labels"} | {"candidates": [" {a}", " {b}"]}
    study = several(EPISODES, {"name": "mine", "definition": chosen})  # read, as rows of it may be stored
    with pytest.raises(StudyError, match="metric' is 'macro_f1', but the answers .* differ by row.*or 'gold_logprob'"):
        check_metrics(study)


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


@pytest.mark.parametrize("text", ["wiki.txt", {"path": "wiki.txt"}])
def test_the_text_of_an_entry_is_looked_for_beside_the_study_file(text: object, tmp_path: Path) -> None:
    (tmp_path / "wiki.txt").write_text("some text")
    content = {"name": "s", "model": {"path": "embedded"}, "task": {"weighted": [EPISODES, {"text": text}]}}
    content["search"] = {"guard": [{"task": "text"}]}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    (study,) = read_studies(tmp_path / "s.yaml")
    assert study.task.members[1].text is not None
    assert study.task.members[1].text.path == str((tmp_path / "wiki.txt").resolve())


def test_the_folder_of_harness_tasks_of_an_entry_is_looked_for_beside_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    mine = {"lm_eval": {"name": "mine", "include_path": "mine"}}
    content = {"name": "s", "model": {"path": "embedded"}, "task": {"weighted": [EPISODES, mine]}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content))
    (study,) = read_studies(tmp_path / "s.yaml")
    assert study.task.members[1].lm_eval is not None
    assert study.task.members[1].lm_eval.include_path == str((tmp_path / "mine").resolve())


TEXT, OTHER_TEXT = {"name": "plain", "text": "a.txt"}, {"name": "other", "text": "b.txt"}


@pytest.mark.parametrize(
    ("key", "value"),
    [("variant", "release"), ("path", "rows"), ("demonstrations", 8), ("truncate", "demonstrations")],
)
def test_an_entry_of_text_has_no_key_that_text_alone_does_not_use(key: str, value: object) -> None:
    with pytest.raises(StudyError, match=rf"'task.{key}' is .*task.text does not use it.*Remove the key"):
        several(TEXT | {key: value}, OTHER_TEXT)


@pytest.mark.parametrize(
    ("tasks", "space", "words"),
    [
        ([TEXT | {"shots": 5}, OTHER_TEXT], {}, "gives task 'plain' 5 shots, but the windows of text have no demonstr"),
        ([TEXT, OTHER_TEXT], {"shots": [2]}, r"'space.shots' is \[2\], but the windows of task.text have no demonstr"),
        ([TEXT, OTHER_TEXT], {"demo_seeds": [0, 1]}, r"'space.demo_seeds' is \[0, 1\], but the windows of task.text"),
        (
            [EPISODES | {"shots": 1}, TOPICS | {"shots": 0}],
            {"shots": [0, 2]},
            r"'space.shots' is \[0, 2\], but every task of task.weighted has shots of its own",
        ),
        ([EPISODES | {"shots": 1}, TEXT], {"shots": [2]}, r"every task of task.weighted has shots of its own"),
        (
            [EPISODES | {"shots": 0}, TOPICS | {"shots": 0}],
            {"demo_seeds": [0, 1]},
            r"'space.demo_seeds' is \[0, 1\], but no task of task.weighted has demonstrations to draw",
        ),
        ([EPISODES, TEXT], {"shots": [0], "demo_seeds": [3]}, "no task of task.weighted has demonstrations to draw"),
    ],
)
def test_shots_and_seeds_that_no_task_follows_are_refused(
    tasks: list[dict[str, Any]], space: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        several(*tasks, space=space)


@pytest.mark.parametrize(
    "tasks",
    [
        [TEXT, OTHER_TEXT],
        [TEXT, EPISODES],
        [EPISODES | {"shots": 1}, TOPICS | {"shots": 0}],
        [EPISODES | {"shots": 1}, TOPICS],
    ],
)
@pytest.mark.parametrize("space", [{}, {"shots": [0]}, {"shots": [2, 4]}])
def test_what_is_filled_in_is_a_study_that_is_taken_as_it_stands(
    tasks: list[dict[str, Any]], space: dict[str, Any]
) -> None:
    try:
        filled = fill_in(several(*tasks, space=space))
    except StudyError:
        return  # shots without effect, refused above
    assert fill_in(check_study(filled.model_dump())) == filled


def test_tasks_with_shots_of_their_own_have_a_point_of_those_of_the_first() -> None:
    filled = fill_in(several(TEXT, EPISODES | {"shots": 1}, TOPICS | {"shots": 0}))
    assert filled.space.shots == [1]
    assert [task.shots for task in filled.task.weighted or []] == [0, None, 0]


def test_a_score_is_not_called_as_one_of_its_tasks() -> None:
    with pytest.raises(StudyError, match="'task.name' is 'topics', which is one of the tasks in task.weighted"):
        several(task={"name": "topics"})
    assert several(task={"name": "mix"}).task.name == "mix"


def test_one_of_several_tasks_is_looked_at_by_its_name_with_its_own_shots(tmp_path: Path) -> None:
    tasks = [EPISODES, TOPICS | {"shots": 3}, TEXT | {"weight": 0}]
    content = {"name": "s", "model": {"path": "embedded"}, "task": {"weighted": tasks}, "space": {"shots": [2]}}
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(content | {"search": {"guard": [{"task": "plain"}]}}))
    shots = {}
    for name in ("episodes", "topics", "plain"):
        study = study_of_task(str(tmp_path / "s.yaml"), None, [("task.name", name)])
        assert study.task_settings().name == name
        shots[name] = study.space.shots
    assert shots == {"episodes": [2], "topics": [3], "plain": [0]}
    whole = study_of_task(str(tmp_path / "s.yaml"), None)
    with pytest.raises(StudyError, match="3 tasks, episodes, topics, plain.*as in --set task.name=episodes"):
        whole.task_settings()


def test_a_guard_task_without_validation_rows_is_refused_before_a_model_is_loaded(
    make_study: Callable[..., dict[str, Any]], tmp_path: Path, cache: Path
) -> None:
    rows = tmp_path / "rows"
    rows.mkdir()
    lines = [json.dumps({"text": f"row {number}", "label": number % 2}) for number in range(6)]
    (rows / "test.jsonl").write_text("\n".join(lines) + "\n")  # rows are there, but none for validation
    mine = F1 | {"metric": "accuracy", "splits": {"demonstrations": "test", "validation": "train", "test": "test"}}
    tasks = [EPISODES | {"validation_size": 20}, {"name": "mine", "weight": 0, "definition": mine, "path": str(rows)}]
    content = make_study() | {"task": {"weighted": tasks}, "search": {"guard": [{"task": "mine"}]}}
    with pytest.raises(TaskError, match="has no rows of split 'train'"):
        prepare(check_study(content), tmp_path / "s", cache)
    assert not (tmp_path / "s").exists()
