from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tasks.definition import Example, Source, TaskDefinition, Wording, make_example
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from tests.conftest import write_rows

WORDING = Wording(query="{text} ->", answers=(" no", " yes"))
DEFINITION = TaskDefinition(source=Source(path="mine"), wording=WORDING, classes={"0": 0, "1": 1}, shots=2)
ROW: dict[str, Any] = {"text": " it rained ", "label": 1, "choices": [" a ", "b"], "kind": "cause"}


def made(row: Mapping[str, Any] | None = None, *, definition: TaskDefinition = DEFINITION, **wording: Any) -> Example:
    changed = replace(definition, wording=replace(definition.wording, **wording))
    return make_example(changed, {**ROW, **(row or {})}, ("train", 7))


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("{text}.", "it rained."),
        ("{text!w}.", " it rained ."),
        ("{text!l}.", " it rained."),
        ("{choices[0]}|{choices[1]}", "a|b"),
        ("{choices[0]!w}", " a "),
        ("{{{label}}}", "{1}"),
    ],
)
def test_a_template_is_filled_with_columns(query: str, text: str) -> None:
    assert made(query=query).query == text


def test_a_demonstration_is_query_answer_and_newline_unless_it_is_worded() -> None:
    assert made().demonstration == "it rained -> yes\n"
    assert made(demonstration="{text}={answer};{answer!w};").demonstration == "it rained=yes; yes;"


def test_a_demonstration_may_word_its_answers_differently() -> None:
    example = made(demonstration_answers=(" NO", " YES"))
    assert (example.demonstration, example.answers) == ("it rained -> YES\n", (" no", " yes"))


def test_a_query_may_be_worded_for_itself_where_nothing_is_shown() -> None:
    assert made(alone="Only {text}").alone == "Only it rained"
    assert made().alone == made().query


def test_values_of_a_column_are_replaced_by_words() -> None:
    words = {"kind": {"cause": "because", "effect": "so"}}
    assert made(query="{text} {kind}", words=words).query == "it rained because"
    assert made({"kind": "effect"}, query="{text} {kind}", words=words).query == "it rained so"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (Decimal("0E-10"), "0.0000000000"), (date(2024, 1, 20), "2024-01-20"), (b"caf\xc3\xa9", "café")],
)
def test_a_column_is_shown_as_the_text_of_its_value(value: object, text: str) -> None:
    assert made({"text": value}).query == f"{text} ->"


@pytest.mark.parametrize("label", [None, "", "  ", float("nan")])
def test_rows_without_a_label_are_a_class_where_the_task_says_so(label: object) -> None:
    definition = replace(DEFINITION, classes={"0": 0, "": 1})
    assert made({"label": label}, definition=definition).gold == 1


def test_the_label_none_is_a_text_like_others() -> None:
    assert made({"label": "None"}, definition=replace(DEFINITION, classes={"x": 0, "None": 1})).gold == 1


def test_an_empty_value_may_have_a_word() -> None:
    words = {"kind": {"cause": "because", "": "and"}}
    assert made({"kind": None}, query="{text} {kind}", words=words).query == "it rained and"


def test_a_label_that_yaml_reads_as_true_is_explained() -> None:
    definition = replace(DEFINITION, classes={"true": 0, "false": 1})
    with pytest.raises(TaskError, match="has label 'yes'; .* In YAML yes and no are true and false: quote them"):
        made({"label": "yes"}, definition=definition)


def test_candidates_are_taken_from_the_row() -> None:
    assert made(answers=(" {choices[0]}", " {choices[1]}")).answers == (" a", " b")


@pytest.mark.parametrize(("label", "gold"), [("spam", 0), ("junk", 0), ("ham", 1)])
def test_several_values_of_the_label_may_share_a_word(label: str, gold: int) -> None:
    definition = replace(DEFINITION, classes={"spam": 0, "junk": 0, "ham": 1})
    assert made({"label": label}, definition=definition).gold == gold


def test_the_label_may_be_of_another_name_and_no_number() -> None:
    definition = replace(DEFINITION, label_column="is_wet", classes={"true": 1, "false": 0})
    assert made({"is_wet": True}, definition=definition).gold == 1


def test_a_template_names_its_columns_once() -> None:
    wording = replace(WORDING, query="{b} {a[0]} {b!w}", demonstration="{c} {answer}", words={"kind": {"cause": "x"}})
    assert wording.columns == ["a", "b", "c", "kind"]


@pytest.mark.parametrize(
    ("row", "wording", "words"),
    [
        ({"label": 2}, {}, "row 7 of split 'train' has label '2'; expected one of '0', '1'"),
        ({"label": None}, {}, "row 7 of split 'train' has no label: column 'label' is empty"),
        ({"label": " "}, {}, "row 7 of split 'train' has no label: column 'label' is empty"),
        ({"label": float("nan")}, {}, "row 7 of split 'train' has no label: column 'label' is empty"),
        ({"label": [1]}, {}, r"row 7 of split 'train': column 'label' holds a list, \[1\]"),
        ({"text": ["a"]}, {}, r"row 7 of split 'train': column 'text' holds a list, .* as {text\[0\]}"),
        ({"text": float("nan")}, {}, "row 7 of split 'train' has nothing in column 'text'"),
        ({"choices": ["a", None]}, {"query": "{choices[1]}"}, r"column 'choices\[1\]' holds nothing \(null\)"),
        ({}, {"query": "{choices!r}"}, "column 'choices' holds a list"),
        ({}, {"query": "{text.upper}"}, "column 'text.upper' holds a value of type builtin_function_or_method"),
        ({"kind": ["cause"]}, {"words": {"kind": {"cause": "because"}}}, "column 'kind' holds a list"),
        ({"text": "  "}, {}, "row 7 of split 'train' has nothing in column 'text'; expected text"),
        ({"text": None}, {}, "row 7 of split 'train' has nothing in column 'text'"),
        (
            {"kind": "reason"},
            {"words": {"kind": {"cause": "because", "effect": "so"}}},
            "row 7 of split 'train' has kind 'reason'; expected one of 'cause', 'effect'",
        ),
        ({}, {"query": "{choices[2]}"}, "row 7 of split 'train' does not fit the template .*IndexError"),
        ({}, {"query": "{text.nothing}"}, "row 7 of split 'train' does not fit the template .*AttributeError"),
        ({}, {"query": "{text!x}"}, "row 7 of split 'train' does not fit the template .*ValueError"),
    ],
)
def test_a_row_that_cannot_be_worded_is_named(row: dict[str, Any], wording: dict[str, Any], words: str) -> None:
    with pytest.raises(TaskError, match=words):
        made(row, **wording)


@pytest.mark.parametrize("wording", [{"query": "{answer} {text}"}, {"query": "no column"}, {"alone": "{answer}"}])
def test_a_query_that_gives_its_answer_away_or_reads_no_column_is_refused(wording: dict[str, str]) -> None:
    with pytest.raises(TaskError, match="names the answer, or no column; expected columns of the row up to it"):
        replace(WORDING, **wording)  # type: ignore[arg-type]


FUNCTION = """
def shout(row):
    return None if row["text"] == "left out" else {**row, "text": row["text"].upper()}

def unlabel(row):
    return {"text": row["text"]} if row["text"] == "left out" else row

def fails(row):
    return row["no such column"]

def joins(row):
    return row["text"]

def mixes(row):
    return [row, row["text"]]

def drops(row):
    return []

def halves(row):
    return [row, {"text": row["text"]}]

constant = 3
"""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TaskSettings:
    """A task of the user's own: forty rows and one to leave out; a file and a module with functions."""
    rows = [{"text": f"text {number}", "label": number % 2} for number in range(40)]
    write_rows(tmp_path / "mine" / "train.jsonl", [*rows, {"text": "left out", "label": 0}])
    for name in ("change_rows_file.py", "change_rows_module.py"):
        (tmp_path / name).write_text(FUNCTION)
    monkeypatch.syspath_prepend(str(tmp_path))
    return TaskSettings(name="mine", definition=replace(DEFINITION, source=Source(path=str(tmp_path / "mine"))))


def through(settings: TaskSettings, function: str) -> TaskSettings:
    assert settings.definition is not None
    return replace(settings, validation_size=10, definition=replace(settings.definition, function=function))


@pytest.mark.parametrize("place", ["{folder}/change_rows_file.py:shout", "change_rows_module:shout"])
def test_rows_pass_through_a_function_that_may_drop_them(
    place: str, settings: TaskSettings, tmp_path: Path, cache: Path
) -> None:
    task = load_task(through(settings, place.format(folder=tmp_path)), cache)
    rows = [*task.demonstrations, *task.splits["validation"], *task.splits["test"]]
    assert {row.query for row in rows} == {f"TEXT {number} ->" for number in range(40)}
    assert {row.row for row in rows} == {("train", number) for number in range(40)}


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("change_rows_module:whisper", "task function 'change_rows_module:whisper' cannot be had .KeyError"),
        ("no_such_module:shout", "task function 'no_such_module:shout' cannot be had .ModuleNotFoundError"),
        ("no_such_file.py:shout", "task function 'no_such_file.py:shout' cannot be had .FileNotFoundError"),
        ("shout", "expected 'module:function' or 'file.py:function'"),
        ("change_rows_module:constant", "cannot be had .TypeError.'constant is no function'"),
        ("change_rows_module:fails", "function fails on row 0 of split 'train': KeyError.*Mend it"),
        ("change_rows_module:joins", "function returned str for row 0 of split 'train'; expected a mapping, a list of"),
        ("change_rows_module:mixes", "function returned list with dict and str for row 0 of split 'train'; expected a"),
        (
            "change_rows_module:drops",
            "mine, split 'train' is empty; the task's function leaves out all 41 rows; expected",
        ),
        ("change_rows_module:halves", "row 0 of split 'train', part 1 has no column 'label'"),
    ],
)
def test_a_function_that_cannot_be_had_or_fails_is_refused(
    function: str, words: str, settings: TaskSettings, cache: Path
) -> None:
    with pytest.raises(TaskError, match=words):
        load_task(through(settings, function), cache)


def test_a_column_that_the_data_does_not_have_is_refused(settings: TaskSettings, cache: Path) -> None:
    assert settings.definition is not None
    wording = replace(WORDING, query="{text} {title}")
    with pytest.raises(TaskError, match="split 'train' has no column 'title'; it has label, text. Rename the column"):
        load_task(replace(settings, definition=replace(settings.definition, wording=wording)), cache)


def test_words_for_a_column_that_the_data_does_not_have_are_refused(settings: TaskSettings, cache: Path) -> None:
    assert settings.definition is not None
    wording = replace(WORDING, words={"knd": {"cause": "because"}})
    with pytest.raises(TaskError, match="split 'train' has no column 'knd'; it has label, text"):
        load_task(replace(settings, definition=replace(settings.definition, wording=wording)), cache)


def test_a_row_that_its_function_leaves_without_a_column_is_refused(
    settings: TaskSettings, tmp_path: Path, cache: Path
) -> None:
    with pytest.raises(TaskError, match="has no column 'label'; it has text"):
        load_task(through(settings, f"{tmp_path}/change_rows_file.py:unlabel"), cache)


def test_a_task_of_ones_own_is_not_called_as_one_of_the_paper(settings: TaskSettings, cache: Path) -> None:
    with pytest.raises(TaskError, match="task.name is 'sst2', by which the paper's .* are found.*my-sst2"):
        load_task(replace(settings, name="sst2"), cache)


@pytest.mark.parametrize("name", ["fever", "topics"])
def test_a_task_of_ones_own_may_be_called_as_another_of_ours(name: str, settings: TaskSettings, cache: Path) -> None:
    settings = replace(settings, validation_size=10)
    task, mine = load_task(replace(settings, name=name), cache), load_task(settings, cache)
    assert (task.name, task.fingerprint) == (name, mine.fingerprint)


def test_a_task_of_ones_own_has_no_release(settings: TaskSettings, cache: Path) -> None:
    with pytest.raises(TaskError, match="task.variant is 'release', which task 'mine' does not have"):
        load_task(replace(settings, variant="release"), cache)


def test_the_fingerprint_covers_words_and_demonstrations(settings: TaskSettings, cache: Path) -> None:
    assert settings.definition is not None
    wordings = [WORDING, replace(WORDING, query="{text} =>"), replace(WORDING, demonstration="{text}{answer}")]
    wordings += [replace(WORDING, alone="{text}"), replace(WORDING, answers=(" nay", " yes"))]
    tasks = [
        replace(settings, validation_size=10, definition=replace(settings.definition, wording=wording))
        for wording in wordings
    ]
    assert len({load_task(each, cache).fingerprint for each in tasks}) == 5
