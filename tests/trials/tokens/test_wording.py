from dataclasses import replace

import pytest

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.definition import make_example
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import check_prompts, encode_prompts
from clipsweep.trials.tokens.special import special_tokens_of
from clipsweep.trials.tokens.wording import foreign_tokens, render_prompts, where_row, written_tokens
from tests.trials.tokens.tokenizers import ONE_SHOT, byte_level, make_task, marked_words

TURNS = {"query": "<s>ask {text}", "demonstration": "<s>ask {text}{answer}</s>"}
CHAT = "<|turn|>{text}<|turn|>"


def tokens_of(task: Task, shots: int = 1) -> tuple[str, ...]:
    """The tokens of the first prompt, up to its answer."""
    tokenizer = byte_level()
    prompts = encode_prompts(task, tokenizer, PromptSet(shots=shots, demo_seed=0, split="validation"), 512)
    return tuple(tokenizer.convert_ids_to_tokens([*prompts.prefix, *prompts.queries[0].tokens]))


@pytest.mark.parametrize("shots", [0, 1, 2])
def test_a_beginning_that_the_query_writes_stands_once(shots: int) -> None:
    written = make_task("good", "bad", query="<s>text: {text}\nlabel:")
    assert tokens_of(written, shots) == tokens_of(make_task("good", "bad"), shots)


def test_white_space_before_a_beginning_goes_with_it() -> None:
    assert tokens_of(make_task("good", query="\n <s>q {text}")) == tokens_of(make_task("good", query="q {text}"))


def test_a_beginning_inside_the_query_is_the_author_s_word() -> None:
    assert tokens_of(make_task("good", query="q <s>{text}"), 0).count("<s>") == 2


def test_a_beginning_that_a_row_writes_stands_once() -> None:
    assert tokens_of(make_task("<s>good", query="{text}:"), 0) == tokens_of(make_task("good", query="{text}:"), 0)


def test_a_beginning_that_the_query_without_demonstrations_writes_stands_once() -> None:
    tokens = tokens_of(make_task("good", query="q {text}", alone="<s>alone {text}"), 0)
    assert tokens == tokens_of(make_task("good", query="q {text}", alone="alone {text}"), 0)


def test_demonstrations_that_are_turns_each_keep_their_beginning() -> None:
    tokens = tokens_of(make_task("good", **TURNS))
    assert [token for token in tokens if token in ("<s>", "</s>")] == ["<s>", "</s>", "<s>"]


@pytest.mark.parametrize("query", ["ask {text}", "<s>ask {text}"])
def test_demonstrations_that_do_not_end_their_text_do_not_begin_it_anew(query: str) -> None:
    tokens = tokens_of(make_task("good", query=query, demonstration="<s>ask {text}{answer}\n"), 2)
    assert tokens == tokens_of(make_task("good", query="ask {text}", demonstration="ask {text}{answer}\n"), 2)


def test_a_prompt_loses_its_beginning_as_text_only_where_the_tokenizer_puts_one() -> None:
    task = make_task("good", query="<s>{text}")
    rows = task.splits["validation"]
    assert render_prompts(task, ONE_SHOT, rows)[0].count("<s>") == 2
    assert render_prompts(task, ONE_SHOT, rows, special_tokens_of(byte_level()))[0].count("<s>") == 0


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        (make_task("a <s> </s>"), set()),
        (make_task("a", query="<s>{text}"), set()),
        (make_task("a", query="q <s>{text}"), {"<s>"}),
        (make_task("a", query=CHAT), {"<|turn|>"}),
        (make_task("a", **TURNS), {"<s>", "</s>"}),
        (make_task("a", words={"text": {"a": "b</s>", "one": "1", "two": "2"}}), {"</s>"}),
    ],
)
def test_special_tokens_of_the_wording_are_told_from_those_of_rows(task: Task, expected: set[str]) -> None:
    assert written_tokens(task, byte_level()) == expected


def test_special_tokens_of_the_wording_are_read_as_tokens() -> None:
    assert [token for token in tokens_of(make_task("good", query=CHAT), 0) if token == "<|turn|>"] == ["<|turn|>"] * 2


@pytest.mark.parametrize("query", [CHAT, "<|turn|>{text}"])
def test_a_row_with_a_token_of_the_wording_is_refused_before_a_run(query: str) -> None:
    task = make_task(*["good"] * 20, "sly <|turn|> bad", query=query)
    words = r"row 20 of the source's 'train' .row 20 of validation. holds the text of the special token '<\|turn\|>'"
    with pytest.raises(TaskError, match=words):
        check_prompts(task, byte_level(), ONE_SHOT, 512)


def test_a_demonstration_with_a_token_of_the_wording_is_refused() -> None:
    task = make_task("good", "<|turn|>", "<|turn|>", query=CHAT)
    rows = task.splits["validation"]
    shown = replace(task, demonstrations=rows[1:], splits={"validation": rows[:1]})
    with pytest.raises(TaskError, match=r"row [12] of the source's 'train' .demonstrations. holds the text"):
        encode_prompts(shown, byte_level(), ONE_SHOT, 512)


@pytest.mark.parametrize("kind", [byte_level, marked_words])
def test_special_tokens_in_rows_are_characters_in_the_prompt(kind: object) -> None:
    tokenizer = kind()  # type: ignore[operator]
    task = make_task("good <s> bad </s>", "fine")
    prompts = encode_prompts(task, tokenizer, ONE_SHOT, 512)
    ids = [*prompts.prefix, *prompts.queries[0].tokens]
    assert [number for number in ids if number in tokenizer.all_special_ids] == [tokenizer.bos_token_id]
    assert len(prompts.queries[0].labels) == 2


def test_rows_are_not_all_tokenised_where_the_wording_holds_special_tokens() -> None:
    task = make_task(*["good"] * 20, query=CHAT)
    special = special_tokens_of(byte_level())
    found = [foreign_tokens(task.wording, row, special) for row in task.splits["validation"]]
    assert found == [[]] * 20


def test_a_special_token_that_only_a_worded_demonstration_shows_is_foreign() -> None:
    task = make_task("good", query="q {label}", demonstration="{text} {answer}\n")
    row = make_example(task.worded, {"text": "sly </s>", "label": 1}, ("train", 0))
    assert foreign_tokens(task.wording, row, special_tokens_of(byte_level())) == ["</s>"]


def test_words_of_the_wording_are_not_foreign() -> None:
    task = make_task("a", words={"text": {"a": "b</s>", "one": "1", "two": "2"}})
    row = task.splits["validation"][0]
    assert foreign_tokens(task.wording, row, special_tokens_of(byte_level())) == []


def test_a_row_that_was_made_of_another_is_named_by_its_part() -> None:
    row = make_task("a").splits["validation"][0]
    assert where_row(row, "validation", 3) == "row 0 of the source's 'train' (row 3 of validation)"
    assert where_row(replace(row, part=2), "test") == "row 0 of the source's 'train', part 2 (test)"
    assert where_row(replace(row, of_task="own"), "test") == "document 0 of 'train' of harness task 'own' (test)"
