from dataclasses import replace
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerBase

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Prompts, Query
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.kinds import Texts
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.load import load_task
from clipsweep.trials.tasks.settings import TaskSettings
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import check_prompts, encode_prompts, encode_texts
from clipsweep.trials.tokens.tokenizer import load_tokenizer

VALIDATION = PromptSet(shots=2, demo_seed=0, split="validation")


@pytest.fixture
def task(cache: Path) -> Task:
    return load_task(TaskSettings(name="episodes", validation_size=12, test_size=5, seed=1), cache)


@pytest.fixture
def tokenizer(tiny_gptj: Path) -> PreTrainedTokenizerBase:
    return load_tokenizer(tiny_gptj)


def with_labels(task: Task, *labels: str) -> Task:
    rows = tuple(replace(row, answers=labels) for row in task.splits["validation"])
    return replace(task, splits={"validation": rows})


def test_prefix_and_query_together_are_the_whole_prompt(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    prompts = encode_prompts(task, tokenizer, VALIDATION, 512)
    head = "".join(row.demonstration for row in task.draw_demonstrations(2, 0))
    whole = [head + row.query for row in task.splits["validation"]]
    expected = [[0, *tokenizer(text, add_special_tokens=False)["input_ids"]] for text in whole]
    assert [[*prompts.prefix, *query.tokens] for query in prompts.queries] == expected


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_demonstrations_as_a_text_of_their_own_are_the_same_for_every_split(
    task: Task, tokenizer: PreTrainedTokenizerBase, split: str
) -> None:
    (tokens,) = encode_texts(task, tokenizer, replace(VALIDATION, split=split), 512, Texts("demonstrations", 64))
    text = "".join(row.demonstration for row in task.draw_demonstrations(2, 0))
    assert list(tokens) == [0, *tokenizer(text, add_special_tokens=False)["input_ids"]]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_texts_of_a_split_are_its_first_whole_prompts_whichever_split_is_evaluated(
    task: Task, tokenizer: PreTrainedTokenizerBase, split: str
) -> None:
    prompts = encode_prompts(task, tokenizer, VALIDATION, 512)
    whole = [prompts.prefix + query.tokens for query in prompts.queries]
    asked = replace(VALIDATION, split=split)
    assert list(encode_texts(task, tokenizer, asked, 512, Texts("validation", 5))) == whole[:5]
    with pytest.raises(TaskError, match="the first 13 rows of validation, which has 12"):
        encode_texts(task, tokenizer, asked, 512, Texts("validation", 13))


def test_the_release_reads_its_demonstrations_as_its_tokenizer_does(
    task: Task, tokenizer: PreTrainedTokenizerBase
) -> None:
    release = replace(task, definition=replace(task.definition, scoring=Scoring.FIRST_TOKEN))
    (tokens,) = encode_texts(release, tokenizer, VALIDATION, 512, Texts("demonstrations", 1))
    text = "".join(row.demonstration for row in task.draw_demonstrations(2, 0))
    assert list(tokens) == tokenizer(text)["input_ids"]


def test_every_query_keeps_a_token_of_its_own(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    same = replace(task, splits={"validation": (task.splits["validation"][0],) * 3})
    prompts = encode_prompts(same, tokenizer, VALIDATION, 512)
    assert {len(query.tokens) for query in prompts.queries} == {1}


def test_labels_of_several_tokens_are_read_one_after_the_other(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    prompts = encode_prompts(with_labels(task, " RED", " GREEN BLUE"), tokenizer, VALIDATION, 512)
    query = prompts.queries[0]
    assert [len(label) for label in query.labels] == [1, 2]
    assert prompts.sequences(query) == (query.tokens, query.tokens + query.labels[1][:1])


def test_single_token_labels_need_the_prompt_alone() -> None:
    query = Query(tokens=(5, 6), labels=((1,), (2,)), gold=0)
    assert Prompts(prefix=(), queries=(query,)).sequences(query) == ((5, 6),)


def test_a_label_that_adds_no_token_is_refused(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    words = "answer '' of row .*row 0 of validation. of task 'episodes' adds no token after the prompt"
    with pytest.raises(TaskError, match=words):
        encode_prompts(with_labels(task, " red", ""), tokenizer, VALIDATION, 512)


def test_labels_that_are_the_same_tokens_are_refused(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(TaskError, match="are the same tokens; choose others"):
        encode_prompts(with_labels(task, " red", " red"), tokenizer, VALIDATION, 512)


def test_an_answer_that_begins_another_is_refused(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    with pytest.raises(TaskError, match="one answer of row .* begins another"):
        encode_prompts(with_labels(task, " red", " red blue"), tokenizer, VALIDATION, 512)


@pytest.mark.parametrize("check", [encode_prompts, check_prompts])
def test_a_prompt_longer_than_the_context_is_refused_with_its_row(
    task: Task, tokenizer: PreTrainedTokenizerBase, check: object
) -> None:
    rows = list(task.splits["validation"])
    rows[10] = replace(rows[10], query=" wave" * 200)
    long = replace(task, splits={"validation": tuple(rows)})
    with pytest.raises(TaskError, match=r"row 10 of validation. makes a prompt of \d+ tokens.*context is 128"):
        check(long, tokenizer, VALIDATION, 128)  # type: ignore[operator]


def shortening(task: Task, *, long_row: int | None = None) -> Task:
    """The task with room made by leaving demonstrations out; one of its rows longer by 40 words, if asked for."""
    rows = list(task.splits["validation"])
    if long_row is not None:
        text = rows[long_row].query + " wave" * 40
        rows[long_row] = replace(rows[long_row], query=text, alone=text)
    return replace(task, truncate="demonstrations", splits={"validation": tuple(rows)})


def longest(prompts: Prompts) -> int:
    return len(prompts.prefix) + max(len(query.tokens) for query in prompts.queries) + 1


def test_demonstrations_are_left_out_until_every_prompt_fits(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    five = encode_prompts(task, tokenizer, replace(VALIDATION, shots=5), 512)
    many = replace(VALIDATION, shots=40)
    assert check_prompts(shortening(task), tokenizer, many, longest(five)) == 5
    assert encode_prompts(shortening(task), tokenizer, many, longest(five)) == five
    assert five.demonstrations == 5


def test_one_long_row_shortens_the_prompts_of_all(task: Task, tokenizer: PreTrainedTokenizerBase) -> None:
    five = replace(VALIDATION, shots=5)
    context = longest(encode_prompts(task, tokenizer, five, 512))
    with_long = encode_prompts(shortening(task, long_row=11), tokenizer, five, context)
    assert with_long.demonstrations < 5
    assert longest(with_long) <= context
    shown = replace(five, shots=with_long.demonstrations)
    assert with_long == encode_prompts(shortening(task, long_row=11), tokenizer, shown, 512)


@pytest.mark.parametrize("check", [encode_prompts, check_prompts])
def test_a_query_too_long_on_its_own_is_refused_though_demonstrations_may_be_left_out(
    task: Task, tokenizer: PreTrainedTokenizerBase, check: object
) -> None:
    words = r"row 10 of validation. makes a prompt of \d+ tokens with 0 demonstrations.*context is 40"
    with pytest.raises(TaskError, match=words):
        check(shortening(task, long_row=10), tokenizer, VALIDATION, 40)  # type: ignore[operator]


def of_first_tokens(task: Task, *words: str) -> Task:
    definition = replace(task.definition, scoring=Scoring.FIRST_TOKEN)
    return replace(with_labels(task, *words), definition=definition)


def test_words_that_begin_with_one_token_are_refused_where_first_tokens_are_scored(
    task: Task, tokenizer: PreTrainedTokenizerBase
) -> None:
    with pytest.raises(TaskError, match="'GREEN BLUE', 'GREEN RED'.* begin with the same token.*variant: paper"):
        encode_prompts(of_first_tokens(task, "GREEN BLUE", "GREEN RED"), tokenizer, VALIDATION, 512)


def test_words_that_begin_with_one_token_are_compared_whole_otherwise(
    task: Task, tokenizer: PreTrainedTokenizerBase
) -> None:
    first, second = (
        encode_prompts(with_labels(task, " GREEN BLUE", " GREEN RED"), tokenizer, VALIDATION, 512).queries[0].labels
    )
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_a_first_token_is_of_the_word_and_not_of_what_the_prompt_ends_with(
    task: Task, tokenizer: PreTrainedTokenizerBase
) -> None:
    prompts = encode_prompts(of_first_tokens(task, "RED", "BLUE"), tokenizer, VALIDATION, 512)
    expected = tuple((tokenizer(f" {word}")["input_ids"][0],) for word in ("RED", "BLUE"))
    assert {query.labels for query in prompts.queries} == {expected}
