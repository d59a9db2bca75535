"""Read texts as tokens: the beginning-of-text token stands once, and what is data is plain text."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.tokens.special import SpecialTokens, special_tokens_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def start_token(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """What a text's first token is predicted from where nothing precedes it: the beginning-of-text token.

    The end-of-text token where there is none, as lm-evaluation-harness has it; None where there is neither.
    """
    start: int | None = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    return start


def read_texts(
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    where: Callable[[int], str],
    written: Collection[str] = (),
) -> list[tuple[int, ...]]:
    """Token ids of each text, after the beginning-of-text token where the tokenizer has one.

    A text that holds the text of a special token is read as plain text, unless special tokens are ``written``. All
    other texts are read as the tokenizer reads them when no special tokens are asked for.

    Args:
        tokenizer: The model's.
        texts: What to read.
        where: What a message calls the text of a number.
        written: Texts of the special tokens that the wording of the task holds, and that therefore are meant.

    Raises:
        TaskError: A text holds a special token that cannot be read as plain text: this tokenizer makes the token of it
            all the same, or others are written beside it.
    """
    special = special_tokens_of(tokenizer)
    encoded: list[list[int]] = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    found = [number for number, text in enumerate(texts) if _is_special(special, text, encoded[number])]
    if found and not written and tokenizer.is_fast:  # others would miss added tokens that are not special, too
        plain = tokenizer(
            [texts[number] for number in found], add_special_tokens=False, split_special_tokens=True, verbose=False
        )
        for number, ids in zip(found, plain["input_ids"], strict=True):
            encoded[number] = ids
    for number in found:
        left = dict.fromkeys(special.texts[token] for token in encoded[number] if token in special.texts)
        held = texts[number].casefold()  # a tokenizer may look for them in lower case
        # without its text a special token is what the tokenizer gives for characters that it lacks
        if meant := [token for token in left if token not in written and token.casefold() in held]:
            raise TaskError(_refusal(where(number), meant[0], written))
    start = tokenizer.bos_token_id
    return [tuple(ids) if start is None else (start, *ids) for ids in encoded]


def _is_special(special: SpecialTokens, text: str, ids: Sequence[int]) -> bool:
    """Whether a text was read with special tokens, or holds the text of one."""
    return not special.texts.keys().isdisjoint(ids) or special.is_in(text)


def _refusal(where: str, token: str, written: Collection[str]) -> str:
    if written:
        beside = ", ".join(map(repr, sorted(written)))
        reason = f"the wording of the task holds special tokens itself ({beside}), so a row must hold none"
    else:
        reason = "this model's tokenizer cannot read it as plain text"
    return f"{where} holds the text of the special token {token!r}; {reason}. Remove it from the row, or the row."
