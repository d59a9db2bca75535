"""Refuse tokens that the model has no embedding for, before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Prompts, Query
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.definition import Example
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.encode import encode_prompts
from clipsweep.trials.tokens.wording import where_row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROWS_AT_ONCE = 256
UNLIMITED = 2**30  # for a context: what is too long is refused elsewhere


def check_embeddings(
    task: Task, tokenizer: PreTrainedTokenizerBase, wanted: Iterable[PromptSet], vocabulary_size: int
) -> None:
    """Refuse prompts with an id beyond the model's embedding table, as after tokens were added without resizing it.

    A tokenizer without such ids costs nothing. Where all of them are added tokens only rows with their texts are
    tokenised, else all rows.

    Args:
        task: Where demonstrations and queries come from.
        tokenizer: The model's.
        wanted: Which demonstrations, no more than fit, and which splits.
        vocabulary_size: Rows of the embedding table.

    Raises:
        TaskError: Which row, token and id.
    """
    beyond = {number for number in tokenizer.get_vocab().values() if number >= vocabulary_size}
    for each in wanted if beyond else ():
        rows = task.splits[each.split]
        suspects = _suspects(tokenizer, beyond, rows) if task.reader is None else range(len(rows))
        for start in range(0, len(suspects), ROWS_AT_ONCE):
            _check_rows(task, tokenizer, each, vocabulary_size, suspects[start : start + ROWS_AT_ONCE])


def _check_rows(
    task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, vocabulary_size: int, numbers: Sequence[int]
) -> None:
    """Refuse the first of some rows whose prompt holds an id beyond the table."""
    prompts = encode_prompts(task, tokenizer, wanted, UNLIMITED, numbers)
    for number, query in zip(numbers, prompts.queries, strict=True):
        found = next((token for token in _tokens_of(prompts, query) if token >= vocabulary_size), None)
        if found is not None:
            raise TaskError(
                f"{_place_of(found, task, tokenizer, wanted, number)} {tokenizer.convert_ids_to_tokens(found)!r}, "
                f"which is id {found} of the tokenizer; the model's embedding table has {vocabulary_size} rows, so "
                f"that the highest id is {vocabulary_size - 1}. Take the tokenizer that the model was trained with, "
                f"resize the model's embeddings to it, or remove the text."
            )


def _suspects(tokenizer: PreTrainedTokenizerBase, beyond: set[int], rows: Sequence[Example]) -> Sequence[int]:
    """Rows whose prompts can hold one of some ids; the first stands for what all prompts share."""
    added = tokenizer.added_tokens_decoder
    if not tokenizer.is_fast or not beyond <= added.keys():
        return range(len(rows))
    normalizer = tokenizer.backend_tokenizer.normalizer
    if normalizer is not None and any(added[number].normalized for number in beyond):
        return range(len(rows))  # such a token is looked for in the normalised text
    texts = [added[number].content for number in beyond]
    return [
        number
        for number, row in enumerate(rows)
        if number == 0 or any(text in part for text in texts for part in (row.query, row.alone, *row.answers))
    ]


def _tokens_of(prompts: Prompts, query: Query) -> Sequence[int]:
    """All that the model reads or scores for a query."""
    return [*prompts.prefix, *query.tokens, *(token for label in query.labels for token in label)]


def _place_of(found: int, task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, number: int) -> str:
    """Where an id of a prompt comes from, in words: the row, a demonstration, or the tokenizer itself."""
    if found == tokenizer.bos_token_id:
        return "every prompt begins with the tokenizer's beginning-of-text token"
    if found == tokenizer.eos_token_id and task.ends_answers:
        return "every answer ends with the tokenizer's end-of-text token"
    row = task.splits[wanted.split][number]
    texts = {f"{where_row(row, wanted.split, number)} holds": [row.query, row.alone, *row.answers]}
    shown_rows = task.draw_demonstrations(wanted.shots, wanted.demo_seed) if task.reader is None else ()
    for shown in shown_rows:
        texts[f"{where_row(shown, 'demonstrations')} holds"] = [shown.demonstration]
    for where, parts in texts.items():
        if any(found in ids for ids in tokenizer(parts, add_special_tokens=False, verbose=False)["input_ids"]):
            return where
    return next(iter(texts))
