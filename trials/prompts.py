"""Prompts as tokens: the demonstrations that all queries share, each query, and the tokens of each label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from trials.errors import TaskError
from trials.tasks import Task
from trials.values import PromptSet

Tokens = tuple[int, ...]
SAMPLED_ROWS = 8
SPECIAL_TOKENS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One example, tokenised.

    Attributes:
        tokens: The prompt after the shared prefix; at least one token.
        labels: Tokens of each label after the prompt; each at least one.
        gold: Index of the right label.
    """

    tokens: Tokens
    labels: tuple[Tokens, ...]
    gold: int

    @property
    def sequences(self) -> tuple[Tokens, ...]:
        """What the model must read to score every label: the prompt alone where all labels are single tokens."""
        if all(len(label) == 1 for label in self.labels):
            return (self.tokens,)
        return tuple(self.tokens + label[:-1] for label in self.labels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """One split of a task with its demonstrations, tokenised.

    Attributes:
        prefix: Longest common prefix of all prompts, in tokens; may be empty.
        queries: One for each row, in the split's order.
    """

    prefix: Tokens
    queries: tuple[Query, ...]


def encode_prompts(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    wanted: PromptSet,
    context_length: int,
    numbers: Sequence[int] | None = None,
) -> Prompts:
    """Tokenise whole prompts.

    A beginning-of-text token comes first where the tokenizer has one. The tokens of a label are those that tokenising
    prompt + label adds after the prompt.

    Args:
        task: Where demonstrations and queries come from.
        tokenizer: The model's.
        wanted: Which demonstrations and which split.
        context_length: Longest sequence that the model takes.
        numbers: Rows of the split; None for all.

    Raises:
        TaskError: A label adds no token, or a prompt with its label is longer than ``context_length``.
    """
    texts = _render(task, wanted)
    numbers = range(len(texts)) if numbers is None else numbers
    texts = [texts[number] for number in numbers]
    rows = [task.splits[wanted.split][number] for number in numbers]
    prompts = _tokenise(tokenizer, texts)
    labelled = [_tokenise(tokenizer, [text + label for text in texts]) for label in task.template.labels]
    heads, labels = [], []
    for prompt, *whole in zip(prompts, *labelled, strict=True):
        shared: Tokens = _common_prefix([prompt, *whole])
        heads.append(shared)
        labels.append(tuple(tokens[len(shared) :] for tokens in whole))
    _check_labels(task, labels)
    prefix: Tokens = _common_prefix(heads)
    prefix = prefix[: min(len(prefix), min(map(len, heads)) - 1)]
    queries = tuple(
        Query(tokens=tokens[len(prefix) :], labels=candidates, gold=row["label"])
        for tokens, candidates, row in zip(heads, labels, rows, strict=True)
    )
    _check_lengths(len(prefix), dict(zip(numbers, queries, strict=True)), context_length, wanted.split)
    return Prompts(prefix=prefix, queries=queries)


def check_prompts(task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, context_length: int) -> None:
    """Refuse what ``encode_prompts`` would refuse, without tokenising a large split.

    Only rows that can be too long are tokenised, and a few more for their labels: a tokenizer makes at most one token
    of a byte.

    Raises:
        TaskError: As ``encode_prompts``.
    """
    longest_label = max(len(label.encode()) for label in task.template.labels)
    room = context_length - longest_label - SPECIAL_TOKENS
    texts = _render(task, wanted)
    suspects = [number for number, text in enumerate(texts) if number < SAMPLED_ROWS or len(text.encode()) > room]
    encode_prompts(task, tokenizer, wanted, context_length, suspects)


def _render(task: Task, wanted: PromptSet) -> list[str]:
    """Every prompt of a split as text, up to the label."""
    demonstrations = task.draw_demonstrations(wanted.shots, wanted.demo_seed)
    head = "".join(task.template.render_demonstration(row) for row in demonstrations)
    return [head + task.template.render_query(row) for row in task.splits[wanted.split]]


def _common_prefix(sequences: Sequence[Tokens]) -> Tokens:
    """Longest token sequence that all start with; only the two extremes in sorting order need comparing."""
    low, high = min(sequences), max(sequences)
    return next((low[:count] for count, pair in enumerate(zip(low, high, strict=False)) if pair[0] != pair[1]), low)


def _tokenise(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[Tokens]:
    """Token ids of each text, with the beginning-of-text token where the tokenizer has one."""
    start = tokenizer.bos_token_id
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    return [tuple(ids) if start is None else (start, *ids) for ids in encoded]


def _check_labels(task: Task, labels: Sequence[tuple[Tokens, ...]]) -> None:
    for candidates in labels:
        for word, tokens in zip(task.template.labels, candidates, strict=True):
            if not tokens:
                raise TaskError(
                    f"label word {word!r} of task {task.name!r} adds no token after the prompt; expected at least "
                    f"one. Choose a word that the model's tokenizer knows."
                )
        if len(set(candidates)) < len(candidates):
            words = ", ".join(map(repr, task.template.labels))
            raise TaskError(f"two label words of task {task.name!r} ({words}) are the same tokens; choose others.")


def _check_lengths(prefix: int, queries: Mapping[int, Query], context_length: int, split: str) -> None:
    for number, query in queries.items():
        length = prefix + len(query.tokens) + max(map(len, query.labels))
        if length > context_length:
            raise TaskError(
                f"row {number} of split {split!r} makes a prompt of {length} tokens with its label; the model's "
                f"context is {context_length}. Use fewer shots, remove the row, or take a model with more context."
            )
