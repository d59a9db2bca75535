"""Special tokens: those that stand for no text, such as the beginning of a text or a turn of a chat."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True, kw_only=True)
class SpecialTokens:
    """The special tokens of a tokenizer.

    Attributes:
        texts: Their texts by id. The unknown token is none of them: a tokenizer gives it for characters that it lacks.
        pattern: Matches the text of any of them, and of the unknown token; None where there are none.
        start: Text of the beginning-of-text token, which is put before each prompt; None where there is none.
        end: Text of the end-of-text token; None where there is none.
    """

    texts: Mapping[int, str]
    pattern: re.Pattern[str] | None
    start: str | None
    end: str | None

    def all_in(self, text: str) -> list[str]:
        """The special tokens whose texts a text holds, in their order."""
        return [] if self.pattern is None else self.pattern.findall(text)

    def is_in(self, text: str) -> bool:
        """Whether a text holds the text of one."""
        return self.pattern is not None and self.pattern.search(text) is not None


def special_tokens_of(tokenizer: PreTrainedTokenizerBase) -> SpecialTokens:
    """Find the special tokens of a tokenizer.

    One of a single character is left out: some tokenizers pad with an ordinary one, such as ``!``.
    """
    added = {number: token.content for number, token in tokenizer.added_tokens_decoder.items() if token.special}
    named = dict(zip(tokenizer.all_special_ids, tokenizer.all_special_tokens, strict=True))
    texts = {number: text for number, text in (added | named).items() if len(text) > 1}
    longest_first = sorted(texts.values(), key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, longest_first))) if texts else None
    unknown = {tokenizer.unk_token_id} - {tokenizer.bos_token_id, tokenizer.eos_token_id}  # GPT-2's are all the same
    known = {number: text for number, text in texts.items() if number not in unknown}
    return SpecialTokens(texts=known, pattern=pattern, start=tokenizer.bos_token, end=tokenizer.eos_token)
