"""Every key of a study with values that make no sense there: each is taken, or refused in our own words."""

from copy import deepcopy
from datetime import date
from typing import Any

import pytest
import yaml

from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.explain import MOST_LINES, all_keys
from clipsweep.orchestrator.study.files import read_studies
from clipsweep.trials.base.errors import ClipsweepError, StudyError

STUDY: dict[str, Any] = {
    "name": "tiny",
    "model": {"path": "embedded"},
    "task": {"name": "mine", "definition": {"data": {"path": "r"}, "query": "{a}", "labels": ["a", "b"]}},
}
ODD: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 1.5, -0.5, float("nan"), float("inf"), 10**30),
    *("", "x", "10", "0.5", " ", "\0", "é" * 100, "a" * 500, "{a", "auto", "null", "1e5", "90%"),
    *([], [[]], [None], [1, "a"], [{}], [[1]], {}, {"a": 1}, {1: 2}, {None: 1}, {True: 1}, {1.5: "a", 2: "b"}),
    *({"path": 1}, {"low": 1}, {"high": "x"}, {"max": 0}, {"top_condition": None}, {"a": {"b": {"c": 1}}}),
    *(date(2024, 1, 1), b"x", (1, 2), {1}),
]
WORDS_OF_LIBRARIES = ("Input should", "valid string", "valid integer", "pattern", "function-", "should have at least")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("~: x", "no study key 'None'; known: name, model"),
        ("model: {path: embedded, ~: x}", "no study key 'model.None'; known in 'model': path"),
    ],
)
def test_a_key_that_is_null_is_refused_as_any_other(text: str, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        check_study({**STUDY, **yaml.safe_load(text)})


def with_value(key: str, value: Any) -> dict[str, Any]:
    """The study with a value in the place of a key."""
    content = deepcopy(STUDY)
    *sections, last = key.split(".")
    place = content
    for section in sections:
        place = place.setdefault(section, {})
    place[last] = value
    return content


def answer(key: str, value: Any) -> str:
    """What a study with such a value is answered with; nothing where it is taken."""
    try:
        read_studies(with_value(key, value))
    except ClipsweepError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("key", [*all_keys(), "tasks", "nothing", "model.nothing"])
def test_no_value_of_a_key_is_answered_in_words_of_a_library(key: str) -> None:
    answers = [answer(key, value) for value in ODD]
    assert [each for each in answers if any(word in each for word in WORDS_OF_LIBRARIES)] == []
    assert max(map(len, answers)) < 650


def test_a_key_in_the_wrong_section_is_told_where_it_belongs() -> None:
    assert "Did you mean 'cluster.replicas'?" in answer("search.replicas", 2)
    assert "Did you mean 'space.shots'?" in answer("shots", 2)


@pytest.mark.parametrize(
    ("task", "key", "meant"),
    [
        ({"text": {"path": "t.txt"}}, "search.metric", ""),
        ({"text": "t.txt"}, "task.length", "task.text.length"),
        ({"name": "sst2"}, "task.length", ""),
        ({"lm_eval": "hellaswag"}, "search.metric", "task.lm_eval.metric"),
        ({"lm_eval": {"name": "hellaswag"}}, "search.lose_at_most", ""),
        (STUDY["task"], "search.metric", "task.definition.metric"),
    ],
)
def test_no_key_of_a_section_that_the_study_lacks_is_meant(task: dict[str, Any], key: str, meant: str) -> None:
    content = {**STUDY, "task": dict(task)}
    section, last = key.split(".")
    content[section] = {**content.get(section, {}), last: 1}
    with pytest.raises(StudyError) as refusal:
        check_study(content)
    _, _, hint = str(refusal.value).partition("Did you mean ")
    assert hint == (f"{meant!r}?" if meant else "")


def test_a_required_key_that_is_misspelt_is_told_once() -> None:
    content = {"nmae": "a"} | {key: value for key, value in STUDY.items() if key != "name"}
    with pytest.raises(StudyError, match="^no study key 'nmae'; known: .* Did you mean 'name'\\?$"):
        check_study(content)


def test_a_screen_of_problems_is_told_and_the_others_counted() -> None:
    with pytest.raises(StudyError) as refusal:
        check_study(STUDY | {f"key{number}": number for number in range(9)})
    lines = str(refusal.value).splitlines()
    assert (len(lines), lines[-1]) == (MOST_LINES + 1, "and 3 more.")


@pytest.mark.parametrize(
    ("key", "value", "listed"),
    [
        ("space.shots", 4, [4]),
        ("space.shots", (0, 4), [0, 4]),
        ("space.modules", "mlp", ["mlp"]),
        ("space.layers", -1, [-1]),
        ("space.layers", "all", "all"),
        ("space.demo_seeds", 3, [3]),
        ("space.kinds", "svd", ["svd"]),
        ("space.kinds", {"random": {"seed": 1}}, [{"random": {"seed": 1}}]),
        ("space.kinds", ["svd", {"zero": None}], ["svd", "zero"]),
        ("space.kinds", "random", [{"random": {"seed": 0}}]),
        ("space.clip_rates", 0.9, [0.9]),
        ("space.clip_rates", 0, [0]),
    ],
)
def test_one_value_is_a_list_of_one(key: str, value: Any, listed: Any) -> None:
    section, name = key.split(".")
    assert check_study(with_value(key, value)).model_dump()[section][name] == listed


@pytest.mark.parametrize(("key", "value"), [("search.objectives", "accuracy"), ("search.warm_start", "studies/a")])
def test_one_value_of_a_search_is_a_list_of_one(key: str, value: str) -> None:
    study = check_study(with_value(key, value) | {"search": {"driver": "bayes", "n_trials": 4, key[7:]: value}})
    assert getattr(study.search, key[7:]) == [value]
