from dataclasses import replace
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from trials.errors import TaskError
from trials.models import load_tokenizer
from trials.prompts import Query, check_prompts, encode_prompts
from trials.tasks import Task, load_task
from trials.values import PromptSet, TaskSettings

VALIDATION = PromptSet(shots=2, demo_seed=0, split="validation")


@pytest.fixture
def task(cache: Path) -> Task:
    return load_task(TaskSettings(name="episodes", validation_size=12, test_size=5, seed=1), cache)


@pytest.fixture
def tokenizer(tiny_gptj: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(tiny_gptj)


def with_labels(task: Task, *labels: str) -> Task:
    return replace(task, template=replace(task.template, labels=labels))


def test_prefix_and_query_together_are_the_whole_prompt(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    prompts = encode_prompts(task, tokenizer, VALIDATION, 512)
    head = "".join(map(task.template.render_demonstration, task.draw_demonstrations(2, 0)))
    whole = [head + task.template.render_query(row) for row in task.splits["validation"]]
    expected = [[0, *tokenizer(text, add_special_tokens=False)["input_ids"]] for text in whole]
    assert [[*prompts.prefix, *query.tokens] for query in prompts.queries] == expected


def test_every_query_keeps_a_token_of_its_own(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    same = replace(task, splits={"validation": (task.splits["validation"][0],) * 3})
    prompts = encode_prompts(same, tokenizer, VALIDATION, 512)
    assert {len(query.tokens) for query in prompts.queries} == {1}


def test_labels_of_several_tokens_are_read_one_after_the_other(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    query = encode_prompts(with_labels(task, " RED", " GREEN BLUE"), tokenizer, VALIDATION, 512).queries[0]
    assert [len(label) for label in query.labels] == [1, 2]
    assert query.sequences == (query.tokens, query.tokens + query.labels[1][:1])


def test_single_token_labels_need_the_prompt_alone() -> None:
    assert Query(tokens=(5, 6), labels=((1,), (2,)), gold=0).sequences == ((5, 6),)


def test_a_label_that_adds_no_token_is_refused(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(TaskError, match="label word '' of task 'episodes' adds no token after the prompt"):
        encode_prompts(with_labels(task, " red", ""), tokenizer, VALIDATION, 512)


def test_labels_that_are_the_same_tokens_are_refused(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(TaskError, match="are the same tokens; choose others"):
        encode_prompts(with_labels(task, " red", " red"), tokenizer, VALIDATION, 512)


@pytest.mark.parametrize("check", [encode_prompts, check_prompts])
def test_a_prompt_longer_than_the_context_is_refused_with_its_row(
    task: Task, tokenizer: PreTrainedTokenizerBase, check: object
) -> None:
    rows = list(task.splits["validation"])
    rows[10] = {"text": "wave " * 200, "label": 0}
    long = replace(task, splits={"validation": tuple(rows)})
    with pytest.raises(TaskError, match=r"row 10 of split 'validation' makes a prompt of \d+ tokens.*context is 128"):
        check(long, tokenizer, VALIDATION, 128)  # type: ignore[operator]
