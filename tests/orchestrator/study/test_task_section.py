"""A task of the user's own, in the study file or beside it."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from clipsweep.orchestrator.run.session import run_study
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import StudyError, TaskError
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.result import TrialState
from clipsweep.trials.tasks.load import load_task
from tests.conftest import write_rows
from tests.orchestrator.stored import latest_rows

MakeStudy = Callable[..., dict[str, Any]]
DEFINITION: dict[str, Any] = {
    "data": {"path": "reviews"},
    "query": "{review}\nverdict:",
    "labels": {"bad": " negative", "awful": " negative", "good": " positive"},
    "label_column": "verdict",
    "splits": {"test": "held_out"},
    "shots": 2,
}


LABELS: list[dict[Any, str]] = [
    {0: " no", 1: " yes"},
    {True: " yes", False: " no"},
    {"b": " no", "g": " yes"},
    {"b": " no", None: " none"},
    {0.5: " half", date(2024, 1, 20): " a day"},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the definition's data, and a study folder beside it."""
    for split, count in {"train": 60, "held_out": 6}.items():
        rows = [{"review": f"{split} {n}", "verdict": ("bad", "good", "awful", "good")[n % 4]} for n in range(count)]
        write_rows(tmp_path / "tasks" / "reviews" / f"{split}.jsonl", rows)
    (tmp_path / "tasks" / "change.py").write_text("def change(row):\n    return row\n")
    (tmp_path / "studies").mkdir()
    return tmp_path


def mine(definition: object, **task: Any) -> dict[str, Any]:
    return {"name": "mine", "validation_size": 12, "test_size": None, "definition": definition, **task}


@pytest.fixture
def checked(make_study: MakeStudy) -> Callable[..., Study]:
    """A study with the definition inline, some of its keys changed."""
    return lambda **changes: check_study(make_study(task=mine({**DEFINITION, **changes})))


def test_a_definition_is_a_value_that_replicas_take(checked: Callable[..., Study]) -> None:
    definition = checked().task_settings().definition
    assert definition is not None
    assert definition.wording.answers == (" negative", " positive")
    assert definition.classes == {"bad": 0, "awful": 0, "good": 1}
    assert (definition.splits.validation, definition.splits.test) == ("train", "held_out")
    assert (definition.label_column, definition.shots, definition.scoring) == ("verdict", 2, Scoring.LOGLIKELIHOOD)


def test_a_list_of_labels_is_in_the_order_of_the_numbers(checked: Callable[..., Study]) -> None:
    definition = checked(labels=[" no", " yes", " maybe"]).task_settings().definition
    assert definition is not None
    assert definition.classes == {"0": 0, "1": 1, "2": 2}


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ({True: " yes", "no": " no"}, {"true": 0, "True": 0, "TRUE": 0, "no": 1}),
        ({None: " none", "None": " zero"}, {"": 0, "None": 1}),
        ({"": " none", "a": " a"}, {"": 0, "a": 1}),
        ({7: " seven", 0.5: " half"}, {"7": 0, "0.5": 1}),
        ({date(2024, 1, 20): " a day", "b": " b"}, {"2024-01-20": 0, "b": 1}),
    ],
)
def test_keys_of_labels_are_the_texts_that_rows_have(
    checked: Callable[..., Study], labels: object, classes: dict[str, int]
) -> None:
    definition = checked(labels=labels).task_settings().definition
    assert definition is not None
    assert definition.classes == classes


def test_keys_of_words_are_the_texts_that_rows_have(checked: Callable[..., Study]) -> None:
    definition = checked(words={"review": {True: "good", None: "none"}}).task_settings().definition
    assert definition is not None
    assert definition.wording.words == {"review": {"true": "good", "True": "good", "TRUE": "good", "": "none"}}


@pytest.mark.parametrize("key", ["validation_size", "test_size"])
def test_a_negative_size_is_refused_before_any_row_is_read(make_study: MakeStudy, key: str) -> None:
    with pytest.raises(StudyError, match=f"'task.{key}' is -5"):
        check_study(make_study(task={"name": "sst2", "path": "./nowhere", key: -5}))


def test_an_empty_validation_is_refused_before_any_row_is_read(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match="'task.validation_size' is 0"):
        check_study(make_study(task={"name": "sst2", "validation_size": 0}))


def test_candidates_are_scored_by_their_mean(checked: Callable[..., Study]) -> None:
    definition = checked(labels=None, candidates=[" {a}", " {b}"]).task_settings().definition
    assert definition is not None
    assert (definition.scoring, definition.wording.answers) == (Scoring.MEAN_LOGLIKELIHOOD, (" {a}", " {b}"))


OPEN: dict[str, Any] = {"labels": None, "label_column": "label", "answer": " {verdict}"}


def test_an_open_answer_is_right_where_the_model_likes_it_best(checked: Callable[..., Study]) -> None:
    definition = checked(**OPEN).task_settings().definition
    assert definition is not None
    assert (definition.scoring, definition.wording.answers) == (Scoring.GREEDY, (" {verdict}",))
    assert definition.columns == ["review", "verdict"]


def test_the_end_of_answers_and_distinct_texts_are_the_user_s_choice(checked: Callable[..., Study]) -> None:
    definition = checked(end_of_answer=True, distinct=True).task_settings().definition
    assert definition is not None
    assert (definition.end_of_answer, definition.distinct) == (True, True)


def test_a_study_with_an_open_answer_reads_back_the_same(checked: Callable[..., Study]) -> None:
    study = checked(**OPEN)
    assert check_study(yaml.safe_load(study.to_yaml())) == study


@pytest.mark.parametrize("labels", LABELS)
def test_a_study_with_a_definition_reads_back_the_same(checked: Callable[..., Study], labels: object) -> None:
    study = checked(labels=labels)
    assert check_study(yaml.safe_load(study.to_yaml())) == study


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"candidates": [" {a}", " {b}"]}, "'task.definition' needs either labels .*, candidates .* or answer"),
        ({"answer": " {a}"}, "'task.definition' needs either labels .*, candidates .* or answer"),
        ({"labels": None}, "'task.definition' needs either labels .*, candidates .* or answer"),
        (
            {**OPEN, "answer": " yes"},
            "'task.definition.answer' is ' yes', the same for every row; expected a text that",
        ),
        ({**OPEN, "metric": "macro_f1"}, "'task.definition.metric' is 'macro_f1', which an open answer has not"),
        ({**OPEN, "label_column": "verdict"}, "'task.definition.label_column' is 'verdict', but an open answer is"),
        ({"labels": {"bad": " no", "good": " no"}}, "'task.definition' has no answer but ' no'; expected two or more"),
        ({"labels": [" no"]}, "'task.definition.labels"),
        ({"qury": "x"}, "no study key 'task.definition.qury'.*Did you mean 'task.definition.query'"),
        ({"splits": {"tset": "test"}}, "no study key 'task.definition.splits.tset'.*'task.definition.splits.test'"),
        ({"data": {"pth": "x"}}, "no study key 'task.definition.data.pth'.*Did you mean 'task.definition.data.path'"),
        ({"metric": "f1"}, "'task.definition.metric' is 'f1'; expected 'accuracy', 'macro_f1' or 'gold_logprob'"),
        ({"shots": -1}, "'task.definition.shots' is -1"),
        ({"labels": {1: " no", "1": " yes"}}, "'task.definition.labels' has two words for '1', ' no' and ' yes'"),
        ({"labels": {None: " no", "": " yes"}}, "'task.definition.labels' has two words for '', ' no' and ' yes'"),
    ],
)
def test_a_definition_that_cannot_be_one_is_refused(
    checked: Callable[..., Study], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        checked(**changes)


def test_a_malformed_template_is_refused_with_the_study(checked: Callable[..., Study]) -> None:
    with pytest.raises(TaskError, match="'{review' is malformed"):
        checked(query="{review")


def write_study(folder: Path, content: dict[str, Any]) -> str:
    path = folder / "studies" / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return str(path)


@pytest.fixture
def by_file(make_study: MakeStudy, folder: Path) -> Callable[..., Study]:
    """A study whose definition lies in a file of its own, some of its keys changed; read from another folder."""

    def load(named: str = "../tasks/mine.yaml", **changes: Any) -> Study:
        (folder / "tasks" / "mine.yaml").write_text(yaml.safe_dump({**DEFINITION, **changes}))
        [study] = read_studies(write_study(folder, make_study(task=mine(named))))
        return study

    return load


def test_a_definition_may_lie_in_a_file_beside_the_study_s(by_file: Callable[..., Study], folder: Path) -> None:
    definition = by_file().task_settings().definition
    assert definition is not None
    assert definition.source.path == str(folder / "tasks" / "reviews")


def test_a_function_is_looked_for_beside_the_definition_s_file(by_file: Callable[..., Study], folder: Path) -> None:
    definition = by_file(function="change.py:change").task_settings().definition
    assert definition is not None
    assert definition.function == f"{folder / 'tasks' / 'change.py'}:change"


def test_overrides_reach_the_keys_of_a_definition_in_a_file(
    by_file: Callable[..., Study], make_study: MakeStudy, folder: Path
) -> None:
    by_file()
    path = write_study(folder, make_study(task=mine("../tasks/mine.yaml")))
    overrides = [("task.definition.validation_size", 7), ("task.definition.labels.bad", " nay")]
    [study] = read_studies(path, overrides)
    definition = study.task_settings().definition
    assert definition is not None
    assert (definition.validation_size, definition.wording.answers[definition.classes["bad"]]) == (7, " nay")


def test_the_folder_of_an_inline_definition_is_from_the_study_s_file(make_study: MakeStudy, folder: Path) -> None:
    inline = {**DEFINITION, "data": {"path": "../tasks/reviews"}, "function": "../tasks/change.py:change"}
    [study] = read_studies(write_study(folder, make_study(task=mine(inline))))
    definition = study.task_settings().definition
    assert definition is not None
    assert definition.source.path == str(folder / "tasks" / "reviews")
    assert definition.function == f"{folder / 'tasks' / 'change.py'}:change"


def test_the_list_of_tasks_can_be_overridden(make_study: MakeStudy, folder: Path) -> None:
    content = make_study()
    content["task"].pop("name")
    path = write_study(folder, content | {"tasks": ["sst2", "rte"]})
    assert [study.task.name for study in read_studies(path)] == ["sst2", "rte"]
    assert [study.task.name for study in read_studies(path, [("tasks", ["copa", "cb", "mrpc"])])] == [
        "copa",
        "cb",
        "mrpc",
    ]


def test_a_definition_s_file_that_is_not_there_is_refused(by_file: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="'task.definition' is 'yours.yaml': no such file; expected a YAML file"):
        by_file("yours.yaml")


def test_a_misspelt_key_of_a_definition_s_file_is_named(by_file: Callable[..., Study]) -> None:
    with pytest.raises(StudyError, match="no study key 'task.definition.label'.*Did you mean 'task.definition.labels'"):
        by_file(label={"bad": " no"})


@pytest.mark.parametrize("function", [None, "change.py:change"])
def test_a_study_of_ones_own_task_runs(
    function: str | None, by_file: Callable[..., Study], tmp_path: Path, cache: Path
) -> None:
    study = by_file(function=function)
    run_study(study, tmp_path / "out", cache, Console(quiet=True))
    rows = latest_rows(tmp_path / "out").values()
    assert {(row.task, row.state, row.shots) for row in rows} == {("mine", TrialState.COMPLETE, 2)}
    assert {(row.split, row.n_examples) for row in rows} == {("validation", 12), ("test", 6)}


def test_hub_data_of_a_definition_may_be_replaced_by_a_folder(make_study: MakeStudy, folder: Path, cache: Path) -> None:
    path = str(folder / "tasks" / "reviews")
    study = check_study(make_study(task=mine({**DEFINITION, "data": {"path": "us/reviews"}}, path=path)))
    assert len(load_task(study.task_settings(), cache).splits["test"]) == 6


def test_demonstration_seeds_have_no_place_in_the_release(make_study: MakeStudy) -> None:
    task = {"name": "rte", "variant": "release"}
    with pytest.raises(StudyError, match=r"'space.demo_seeds' is \[0, 1\], but in variant 'release' task.seed fixes"):
        check_study(make_study(task=task, space={"demo_seeds": [0, 1]}))


def test_an_unknown_variant_is_refused(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match="'task.variant' is 'published'; expected 'paper' or 'release'"):
        check_study(make_study(task={"variant": "published"}))
