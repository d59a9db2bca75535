from collections.abc import Callable

import pytest
from transformers import PreTrainedTokenizerBase

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tokens.read import read_texts
from tests.trials.tokens.tokenizers import byte_level, marked_words, plain_ids, unigram

KINDS = [byte_level, marked_words, unigram]
PLAIN = ["a film about nothing\nlabel: good", " two  spaces", "<s", "s>"]
Kind = Callable[[], PreTrainedTokenizerBase]


def where(number: int) -> str:
    return f"text {number}"


def read(tokenizer: PreTrainedTokenizerBase, text: str, *written: str) -> tuple[int, ...]:
    return read_texts(tokenizer, [text], where, written)[0]


@pytest.mark.parametrize("kind", KINDS)
def test_texts_without_special_tokens_are_read_as_ever(kind: Kind) -> None:
    tokenizer = kind()
    expected = [(tokenizer.bos_token_id, *plain_ids(tokenizer, text)) for text in PLAIN]
    assert read_texts(tokenizer, [*PLAIN[:2], *PLAIN[2:]], where) == expected


@pytest.mark.parametrize("kind", [byte_level, marked_words])
def test_the_text_of_a_special_token_is_read_as_its_characters(kind: Kind) -> None:
    tokenizer = kind()
    ids = read(tokenizer, "good <s> bad</s> <|turn|>")
    assert [number for number in ids if number in tokenizer.all_special_ids] == [tokenizer.bos_token_id]
    assert "".join(tokenizer.convert_ids_to_tokens(ids[1:])).lstrip("▁") in (
        "goodĠ<s>Ġbad</s>Ġ<|turn|>",
        "good▁<s>▁bad</s>▁<|turn|>",
    )


def test_the_unknown_token_s_text_is_read_as_its_characters() -> None:
    tokenizer = marked_words()
    assert tokenizer.unk_token_id not in read(tokenizer, "an <unk> here")


def test_characters_that_a_tokenizer_lacks_are_no_special_token() -> None:
    tokenizer = marked_words()
    tokenizer.unk_token = None  # as where the config names none, though the tokenizer itself has one
    assert read(tokenizer, "good 好") == (tokenizer.bos_token_id, *plain_ids(tokenizer, "good 好"))


def test_special_tokens_beside_one_that_is_read_plainly_leave_other_texts_alone() -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens(["[URL]"])
    both = read_texts(tokenizer, ["see [URL]", "<s> see [URL]"], where)
    added = tokenizer.convert_tokens_to_ids("[URL]")
    assert [ids.count(added) for ids in both] == [1, 1]


def test_a_tokenizer_that_makes_the_token_all_the_same_is_refused() -> None:
    with pytest.raises(TaskError, match="text 0 holds the text of the special token '</s>'; this model's tokenizer"):
        read(unigram(), "good </s> bad")


def test_written_tokens_are_read_as_tokens() -> None:
    tokenizer = byte_level()
    turn = tokenizer.convert_tokens_to_ids("<|turn|>")
    assert read(tokenizer, "<|turn|>good", "<|turn|>") == (0, turn, *plain_ids(tokenizer, "good"))


def test_other_special_tokens_beside_written_ones_are_refused() -> None:
    with pytest.raises(TaskError, match=r"'</s>'; the wording .* holds special tokens itself \('<\|turn\|>'\)"):
        read(byte_level(), "<|turn|>good</s>", "<|turn|>")
