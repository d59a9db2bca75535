"""Contexts and continuations as the harness's own models read them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Tokens
from clipsweep.trials.tokens.read import start_token

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Pair = tuple[str, str]  # a context, and what follows it


def read_pairs(
    tokenizer: PreTrainedTokenizerBase, pairs: Sequence[Pair], where: Callable[[int], str]
) -> list[tuple[Tokens, Tokens]]:
    """Tokens of each context and of its continuation.

    White space at the end of a context goes to the continuation. Both are tokenised together and cut where the context
    alone ends. Special tokens stand where the tokenizer puts some by itself, which a text that begins with the
    beginning-of-text token already does not get twice. An empty context is that token, or the end-of-text token where
    there is none.

    Args:
        tokenizer: The model's.
        pairs: Contexts and continuations.
        where: What messages call the pair of a number.

    Raises:
        TaskError: A context, or a continuation, without a token.

    Source:
        lm_eval 0.4.13: ``TemplateLM.loglikelihood`` and ``_encode_pair``, ``HFLM.tok_encode``.
    """
    moved = [_move_spaces(*pair) for pair in pairs]
    contexts = _encode(tokenizer, [context for context, _ in moved if context])
    wholes = _encode(tokenizer, [context + continuation for context, continuation in moved if context])
    found = []
    for number, ((context, continuation), given) in enumerate(zip(moved, pairs, strict=True)):
        if given[0] == "":
            before, after = _after_nothing(tokenizer, continuation)
        else:
            before, after = contexts.get(context, ()), wholes.get(context + continuation, ())
            after = after[len(before) :]
        if not before or not after:
            raise TaskError(
                f"{where(number)}: the {'answer' if before else 'context'} {given[bool(before)]!r} has no token of its "
                f"own; expected one or more. Mend the task's templates, or take another tokenizer."
            )
        found.append((before, after))
    return found


def _move_spaces(context: str, continuation: str) -> Pair:
    bare = context.rstrip()
    return bare, context[len(bare) :] + continuation


def _after_nothing(tokenizer: PreTrainedTokenizerBase, continuation: str) -> tuple[Tokens, Tokens]:
    """What is read where there is no context."""
    tokens: Tokens = tuple(tokenizer.encode(continuation, add_special_tokens=False))
    start = start_token(tokenizer)
    return (tokens[:1], tokens[1:]) if start is None or tokens[:1] == (start,) else ((start,), tokens)


def _encode(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> dict[str, Tokens]:
    """Tokens of each text, each text once."""
    start = start_token(tokenizer)
    written = None if start is None else tokenizer.decode(start)
    begun = {text: written is not None and text.startswith(written) for text in texts}
    found: dict[str, Tokens] = {}
    for has_start in (False, True):
        some = [text for text in begun if begun[text] is has_start]
        if some:
            ids = tokenizer(some, add_special_tokens=not has_start, verbose=False)["input_ids"]
            found |= {text: tuple(each) for text, each in zip(some, ids, strict=True)}
    return found
