from clipsweep.trials.tokens.special import special_tokens_of
from tests.trials.tokens.tokenizers import byte_level, marked_words


def test_special_tokens_are_found_in_a_text_in_their_order() -> None:
    special = special_tokens_of(byte_level())
    assert special.all_in("a</s> b <|turn|>c<s>") == ["</s>", "<|turn|>", "<s>"]
    assert not special.is_in("a < s > b")


def test_the_unknown_token_has_a_text_but_its_id_is_no_special_one() -> None:
    special = special_tokens_of(marked_words())
    assert special.is_in("an <unk> here")
    assert "<unk>" not in special.texts.values()


def test_a_pad_token_of_one_ordinary_character_is_not_special() -> None:
    tokenizer = byte_level()
    tokenizer.pad_token = "!"
    assert not special_tokens_of(tokenizer).is_in("good!")


def test_added_tokens_that_are_words_are_not_special() -> None:
    tokenizer = byte_level()
    tokenizer.add_tokens(["[URL]"])
    assert not special_tokens_of(tokenizer).is_in("see [URL]")


def test_an_unknown_token_that_begins_texts_as_well_is_special() -> None:
    tokenizer = byte_level()
    tokenizer.unk_token = "<s>"
    assert special_tokens_of(tokenizer).texts[tokenizer.bos_token_id] == "<s>"
