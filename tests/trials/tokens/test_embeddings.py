from collections.abc import Callable
from dataclasses import replace

import pytest
from transformers import PreTrainedTokenizerBase

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.embeddings import check_embeddings
from tests.trials.tokens.tokenizers import ONE_SHOT, byte_level, make_task, marked_words, unigram

Kind = Callable[[], PreTrainedTokenizerBase]
FIVE_HUNDRED = [f"film {number}" for number in range(500)]


def with_token(kind: Kind, token: str = "[URL]", *, special: bool = False) -> tuple[PreTrainedTokenizerBase, int]:
    """A tokenizer with a token that its model has no embedding for, and the rows of that model's table."""
    tokenizer = kind()
    size = len(tokenizer)
    tokenizer.add_tokens([token], special_tokens=special)
    return tokenizer, size


@pytest.mark.parametrize("kind", [byte_level, marked_words, unigram])
def test_a_row_with_an_id_beyond_the_embeddings_is_refused(kind: Kind) -> None:
    tokenizer, size = with_token(kind)
    task = make_task(*FIVE_HUNDRED, "see [URL]")
    words = (
        r"row 500 of the source's 'train' .row 500 of validation. holds '\[URL\]', "
        rf"which is id {size} of the tokenizer; the model's embedding table has {size} rows, "
        rf"so that the highest id is {size - 1}"
    )
    with pytest.raises(TaskError, match=words):
        check_embeddings(task, tokenizer, [ONE_SHOT], size)


@pytest.mark.parametrize("kind", [byte_level, marked_words, unigram])
def test_ids_beyond_the_embeddings_that_no_row_holds_do_no_harm(kind: Kind) -> None:
    tokenizer, size = with_token(kind)
    check_embeddings(make_task("good", "bad"), tokenizer, [ONE_SHOT], size)


def test_a_special_token_beyond_the_embeddings_is_plain_text_in_a_row() -> None:
    tokenizer, size = with_token(byte_level, "[PAD]", special=True)
    check_embeddings(make_task("a [PAD] b"), tokenizer, [ONE_SHOT], size)


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (make_task("good", query="[URL] {text}"), "row 0 of validation"),
        (make_task("good", answers=(" good", " [URL]")), "row 0 of validation"),
    ],
)
def test_an_id_of_the_wording_is_refused(task: Task, words: str) -> None:
    tokenizer, size = with_token(byte_level)
    with pytest.raises(TaskError, match=words):
        check_embeddings(task, tokenizer, [ONE_SHOT], size)


def test_a_demonstration_with_an_id_beyond_the_embeddings_is_named() -> None:
    tokenizer, size = with_token(byte_level, "two")
    task = make_task("good", "bad")
    with pytest.raises(TaskError, match=r"row 3 of the source's 'train' .demonstrations. holds 'two'"):
        check_embeddings(task, tokenizer, [replace(ONE_SHOT, shots=2)], size)


def test_a_beginning_beyond_the_embeddings_is_named() -> None:
    tokenizer, size = with_token(byte_level, "<begin>", special=True)
    tokenizer.bos_token = "<begin>"
    words = f"every prompt begins with the tokenizer's beginning-of-text token '<begin>', which is id {size}"
    with pytest.raises(TaskError, match=words):
        check_embeddings(make_task("good"), tokenizer, [ONE_SHOT], size)


def test_another_model_s_tokenizer_is_refused_by_the_first_row_that_shows_it() -> None:
    tokenizer = byte_level()
    (number,) = tokenizer(" label", add_special_tokens=False)["input_ids"]
    task = make_task("!", "! label", query="{text}", answers=(" a", " b"))
    with pytest.raises(TaskError, match=r"row 1 of validation. holds 'Ġlabel', which is id"):
        check_embeddings(task, tokenizer, [replace(ONE_SHOT, shots=0)], number)
