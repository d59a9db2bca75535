"""Cuts of rows that were made of one row of the source, of several splits together, by a share, and of equal texts."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tasks.definition import Example, Source, Splits, TaskDefinition, Wording
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tasks.task import Task
from tests.conftest import write_rows

DEFINITION = TaskDefinition(
    source=Source(path="set by the fixture"),
    wording=Wording(query="{text} ->", answers=(" no", " yes")),
    classes={"0": 0, "1": 1},
)
FUNCTION = """
def thrice(row):
    return [{**row, "text": f"{row['text']} {word}", "label": number % 2} for number, word in enumerate("abc")]
"""
Load = Callable[..., Task]


@pytest.fixture
def load(tmp_path: Path, cache: Path) -> Load:
    """Load a task whose splits have these rows, or so many of texts of their own; keys of its definition may change."""
    (tmp_path / "thrice.py").write_text(FUNCTION)

    def made(read: dict[str, int | list[dict[str, Any]]], sizes: dict[str, Any] | None = None, **keys: Any) -> Task:
        for name, rows in read.items():
            numbered = (
                rows if isinstance(rows, list) else [{"text": f"{name} {n}", "label": n % 2} for n in range(rows)]
            )
            write_rows(tmp_path / "rows" / f"{name}.jsonl", numbered)
        if keys.pop("thrice", False):
            keys["function"] = f"{tmp_path / 'thrice.py'}:thrice"
        definition = replace(DEFINITION, source=Source(path=str(tmp_path / "rows")), **keys)
        return load_task(TaskSettings(name="mine", definition=definition, **(sizes or {})), cache)

    return made


def groups_of(task: Task) -> list[tuple[Example, ...]]:
    return [task.demonstrations, task.splits["validation"], task.splits["test"]]


def test_rows_made_of_one_row_have_its_place_and_a_number_each(load: Load) -> None:
    task = load({"train": 40}, {"validation_size": 30}, thrice=True)
    rows = [row for group in groups_of(task) for row in group]
    assert len({(row.row, row.part) for row in rows}) == len(rows)
    assert {row.part for row in rows} == {0, 1, 2}
    assert {row.query for row in rows} <= {f"train {number} {word} ->" for number in range(40) for word in "abc"}
    assert all(row.query == f"train {row.row[1]} {'abc'[row.part or 0]} ->" for row in rows)


def test_rows_made_of_one_row_are_never_in_two_splits(load: Load) -> None:
    task = load({"train": 40}, {"validation_size": 31}, thrice=True)
    demonstrations, validation, test = ({row.row for row in group} for group in groups_of(task))
    assert not demonstrations & validation
    assert not demonstrations & test
    assert not validation & test


def test_a_split_of_such_rows_holds_them_together_and_shuffled(load: Load) -> None:
    task = load({"train": 40}, {"validation_size": 30, "demonstrations": 6}, thrice=True)
    rows = task.splits["validation"]
    assert len({row.row for row in rows}) == 10  # three of each
    neighbours = sum(first.row == second.row for first, second in pairwise(rows))
    assert neighbours < 20  # which it would be, were they side by side


def test_the_part_of_a_row_is_in_the_fingerprint(load: Load) -> None:
    task = load({"train": 40}, {"validation_size": 30}, thrice=True)
    rows = task.splits["validation"]
    moved = replace(task, splits={**task.splits, "validation": (replace(rows[0], part=7), *rows[1:])})
    assert moved.fingerprint != task.fingerprint


def test_a_row_leaves_a_split_with_those_made_beside_it_where_one_text_is_in_the_test(load: Load) -> None:
    again = {"text": "train 3", "label": 0}
    task = load(
        {"train": 40, "test": [again, *({"text": f"own {number}", "label": 1} for number in range(5))]},
        {"validation_size": 30},
        thrice=True,
        splits=Splits(test="test"),
    )
    assert task.dropped == {"demonstrations": 3, "validation": 3}
    assert sum(row.row == ("test", 0) for row in task.splits["test"]) == 3


def test_a_text_that_one_row_makes_twice_does_not_leave_its_split(load: Load, tmp_path: Path) -> None:
    (tmp_path / "twice.py").write_text("def twice(row):\n    return [row, row]\n")
    task = load({"train": 40}, {"validation_size": 20}, function=f"{tmp_path / 'twice.py'}:twice")
    assert task.dropped == {"demonstrations": 0, "validation": 0}


def test_several_splits_of_the_source_are_cut_as_one(load: Load) -> None:
    splits = Splits(demonstrations="dev+held", validation="dev+held", test="dev+held")
    task = load({"dev": 30, "held": 30}, {"validation_size": 20, "demonstrations": 2}, splits=splits)
    for split in ("validation", "test"):
        assert {row.row[0] for row in task.splits[split]} == {"dev", "held"}
    assert not {row.row for row in task.splits["validation"]} & {row.row for row in task.splits["test"]}


@pytest.mark.parametrize("name", ["", "dev+", "+dev"])
def test_a_split_without_a_name_is_refused(name: str) -> None:
    with pytest.raises(TaskError, match="names no split; expected the name of one, or several as 'dev.test'"):
        Splits(validation=name)


def test_an_open_question_is_in_one_split_whatever_its_answers_are(load: Load) -> None:
    own = [{"text": f"own {number}", "label": f"{number}"} for number in range(20)]
    twice = [{"text": "asked twice", "label": answer} for answer in ("a", "b")]
    wording = Wording(query="{text} ->", answers=(" {label}",))
    task = load({"train": [*own, *twice]}, {"validation_size": 5}, wording=wording, classes={}, demonstrations=0)
    assert sum("asked twice" in row.query for row in task.splits["test"]) == 2
    assert task.dropped == {"demonstrations": 2, "validation": 2}


def test_a_share_of_validation_is_rounded_down_and_a_stated_number_goes_before_it(load: Load) -> None:
    shared = load({"train": 49}, demonstrations=2, validation_share=0.2)
    assert (len(shared.splits["validation"]), len(shared.splits["test"])) == (9, 38)  # a fifth of 47
    stated = load({"train": 49}, {"validation_size": 12}, demonstrations=2, validation_share=0.2)
    assert len(stated.splits["validation"]) == 12


def test_no_demonstrations_are_set_aside_where_a_definition_wants_none(load: Load) -> None:
    task = load({"train": 20}, {"validation_size": 5}, demonstrations=0)
    assert [len(group) for group in groups_of(task)] == [0, 5, 15]
    with pytest.raises(TaskError, match="1 shot of task 'mine' need.* raise task.demonstrations"):
        task.draw_demonstrations(1, 0)


def test_of_equal_texts_the_first_is_taken_and_none_where_labels_differ(load: Load) -> None:
    own = [{"text": f"own {number}", "label": number % 2} for number in range(20)]
    twice = [{"text": "agreed", "label": 1}] * 2
    disputed = [{"text": "disputed", "label": 0}, {"text": "disputed", "label": 1}]
    task = load({"train": [*own, *twice, *disputed]}, {"validation_size": 5}, distinct=True, demonstrations=0)
    rows = [row for group in groups_of(task) for row in group]
    assert sorted(row.row[1] for row in rows) == list(range(21))


def test_a_definition_may_make_ties_wrong(load: Load) -> None:
    assert [load({"train": 20}, {"validation_size": 5}, strict=strict).strict for strict in (False, True)] == [
        False,
        True,
    ]


def test_where_the_test_has_all_texts_of_validation_that_is_said_and_no_size_that_nobody_gave(load: Load) -> None:
    rows = [{"text": f"text {n}", "label": n % 2} for n in range(4)]
    splits = Splits(validation="validation", test="test")
    told = "^task 'mine' has no row left for validation, as 4 rows share their text with another.* Give more rows"
    with pytest.raises(TaskError, match=told):
        load({"train": 8, "validation": rows, "test": rows}, splits=splits)
    with pytest.raises(
        TaskError, match="task.validation_size is 90 by default, but task 'mine' has .* rows left for it"
    ):
        load({"train": 40}, validation_size=90)
