"""Documents as tokens: what stands before the first one, and what the tokenizer puts around a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Tokens
from clipsweep.trials.texts.documents import Document
from clipsweep.trials.tokens.read import read_texts, start_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLE = "a"


def prefix_token(tokenizer: PreTrainedTokenizerBase) -> int:
    """What a document's first token is predicted from: the beginning-of-text token, else the end-of-text token.

    Raises:
        TaskError: The tokenizer has neither.
    """
    start = start_token(tokenizer)
    if start is not None:
        return start
    raise TaskError(
        "the model's tokenizer has no beginning-of-text and no end-of-text token, so that the first token of a text "
        "would follow nothing; expected one of them. Name one in tokenizer_config.json (bos_token or eos_token)."
    )


def read_documents_as_tokens(tokenizer: PreTrainedTokenizerBase, documents: Sequence[Document]) -> list[Tokens]:
    """Token ids of each document as the tokenizer gives them when asked for nothing special.

    So some begin with a beginning-of-text token, which is scored as all others are: lm-evaluation-harness does so. The
    text of a special token in a document is plain text.

    Raises:
        TaskError: A document holds a special token that cannot be read as plain text.
    """
    before, after = _around(tokenizer)
    read = read_texts(tokenizer, [each.text for each in documents], lambda number: documents[number].where)
    start = 0 if tokenizer.bos_token_id is None else 1  # read_texts puts one before every text
    return [(*before, *tokens[start:], *after) for tokens in read]


def _around(tokenizer: PreTrainedTokenizerBase) -> tuple[Tokens, Tokens]:
    """What the tokenizer puts before and after a text."""
    bare = tokenizer(SAMPLE, add_special_tokens=False)["input_ids"]
    whole = tokenizer(SAMPLE)["input_ids"]
    begin = next(number for number in range(len(whole)) if whole[number : number + len(bare)] == bare)
    return tuple(whole[:begin]), tuple(whole[begin + len(bare) :])
