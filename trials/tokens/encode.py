"""Tokenise the prompts of a split: its demonstrations, its queries and their labels."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.prompts.shared import shared_start
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.kinds import DEMONSTRATIONS, Texts
from clipsweep.trials.spec.ladder import cuts_of
from clipsweep.trials.spec.trial import VALIDATION, PromptSet
from clipsweep.trials.tasks.definition import Example
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tasks.texts import refuse_demonstrations, refuse_missing
from clipsweep.trials.tokens.labels import check_labels, end_labels
from clipsweep.trials.tokens.read import read_texts
from clipsweep.trials.tokens.special import special_tokens_of
from clipsweep.trials.tokens.wording import (
    check_row,
    demonstration_texts,
    foreign_tokens,
    render_demonstrations,
    render_prompts,
    where_row,
    written_tokens,
)

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SAMPLED_ROWS = 8
SPECIAL_TOKENS = 2


def encode_prompts(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    wanted: PromptSet,
    context_length: int,
    numbers: Sequence[int] | None = None,
) -> Prompts:
    """Tokenise whole prompts.

    A beginning-of-text token comes first where the tokenizer has one, and once where the wording writes it too; in the
    release only where the tokenizer puts one itself. The text of a special token in a row is plain text; in the wording
    it is that token. The tokens of a label are those that tokenising prompt + label adds after the prompt; in the
    release each is the one token that its word alone begins with.

    Args:
        task: Where demonstrations and queries come from.
        tokenizer: The model's.
        wanted: Which demonstrations and which split.
        context_length: Longest sequence that the model takes.
        numbers: Rows of the split, ascending; None for all.

    Raises:
        TaskError: As ``check_labels`` and ``end_labels``; a prompt with its label is longer than ``context_length``, or
            a row holds a special token that cannot be read as plain text.
    """
    if task.reader is not None:
        prompts = task.reader.encode(tokenizer, wanted, context_length, numbers)
    else:
        shots = fitting_shots(task, tokenizer, wanted, context_length)
        prompts = _encode(task, tokenizer, replace(wanted, shots=shots), context_length, numbers)
    return replace(prompts, classes=task.labels is not None)


def encode_texts(
    task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, context_length: int, texts: Texts
) -> tuple[Tokens, ...]:
    """Tokenise the texts that belong to a prompt set: its demonstrations as one, or whole prompts of a split.

    Args:
        task: Where demonstrations and queries come from.
        tokenizer: The model's.
        wanted: Which demonstrations; its split does not count.
        context_length: Longest sequence that the model takes.
        texts: Which texts.

    Raises:
        TaskError: There are no demonstrations, or fewer rows in the split than are asked for; or as ``encode_prompts``.
    """
    refuse_missing(texts, wanted.shots, len(task.splits[VALIDATION]))
    if task.reader is not None:
        refuse_demonstrations(texts, task.name)
        of_split = replace(wanted, split=texts.split)
        read = task.reader.encode(tokenizer, of_split, context_length, range(texts.rows))
        if read.scoring is Scoring.TEXT:  # windows are read with what is scored of them
            return tuple(read.prefix + read.sequences(query)[0] for query in read.queries)
        return tuple(read.prefix + query.tokens for query in read.queries)
    if texts.split == DEMONSTRATIONS:
        if task.definition.scoring in (Scoring.FIRST_TOKEN, Scoring.MEAN_LOGIT):
            return tuple(_plain(tokenizer, [render_demonstrations(task, wanted)]))
        text = render_demonstrations(task, wanted, special_tokens_of(tokenizer))
        return tuple(read_texts(tokenizer, [text], lambda _: texts.split, written_tokens(task, tokenizer)))
    prompts = _encode(task, tokenizer, replace(wanted, split=texts.split), context_length, range(texts.rows))
    return tuple(prompts.prefix + query.tokens for query in prompts.queries)


def fitting_shots(task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, context_length: int) -> int:
    """How many demonstrations every prompt of the split has room for: all, unless ``task.truncate`` allows fewer.

    Raises:
        TaskError: As ``encode_prompts``, but for the length.
    """
    if task.truncate == "error":
        return wanted.shots

    def fits(shots: int) -> bool:
        each = replace(wanted, shots=shots)
        try:
            _encode(task, tokenizer, each, context_length, _suspects(task, tokenizer, each, context_length))
        except PromptTooLongError:
            return False
        return True

    if fits(wanted.shots):
        return wanted.shots
    return bisect_left(range(1, wanted.shots), True, key=lambda shots: not fits(shots))  # each makes a prompt longer


def check_prompts(task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, context_length: int) -> int:
    """Refuse what ``encode_prompts`` would refuse, without tokenising a large split.

    Only rows that can be too long are tokenised, those that hold the text of a special token, and a few more for their
    labels: a tokenizer makes at most one token of a byte.

    Returns:
        How many demonstrations will be in the prompt.

    Raises:
        TaskError: As ``encode_prompts``.
    """
    if task.reader is not None:
        return task.reader.encode(tokenizer, wanted, context_length).demonstrations
    fitting = replace(wanted, shots=fitting_shots(task, tokenizer, wanted, context_length))
    _encode(task, tokenizer, fitting, context_length, _suspects(task, tokenizer, fitting, context_length))
    return fitting.shots


class PromptTooLongError(TaskError):
    """A prompt with its label is longer than the model's context."""


def _encode(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    wanted: PromptSet,
    context_length: int,
    numbers: Sequence[int] | None,
) -> Prompts:
    """Tokenise the prompts of some rows, or of all, with as many demonstrations as are wanted."""
    rows = task.splits[wanted.split]
    numbers = range(len(rows)) if numbers is None else numbers
    chosen = [rows[number] for number in numbers]
    scoring = task.definition.scoring
    heads, labels = _heads_and_labels(task, tokenizer, wanted, numbers, chosen)
    if task.ends_answers:
        labels = end_labels(task, tokenizer, labels)
    check_labels(task, chosen, labels, wanted.split, numbers)
    prefix: Tokens = () if scoring is Scoring.MEAN_LOGIT else shared_start(heads)
    prefix = prefix[: min(len(prefix), min(map(len, heads)) - 1)]
    queries = tuple(
        Query(tokens=tokens[len(prefix) :], labels=candidates, gold=row.gold)
        for tokens, candidates, row in zip(heads, labels, chosen, strict=True)
    )
    prompts = Prompts(
        prefix=prefix,
        queries=queries,
        scoring=scoring,
        demonstrations=wanted.shots,
        cuts=cuts_of(numbers, len(rows)),
    )
    for number, row, length in zip(numbers, chosen, map(prompts.length, queries), strict=True):
        if length > context_length:
            raise PromptTooLongError(
                f"{where_row(row, wanted.split, number)} makes a prompt of {length} tokens with {wanted.shots} "
                f"demonstrations and its answer; the model's context is {context_length}. Use fewer shots, remove the "
                f"row, take a model with more context, or set task.truncate: demonstrations to leave some out."
            )
    return prompts


def _heads_and_labels(
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    wanted: PromptSet,
    numbers: Sequence[int],
    rows: Sequence[Example],
) -> tuple[list[Tokens], list[tuple[Tokens, ...]]]:
    """Tokens of each prompt up to its labels, and of its labels, as the scoring reads them."""
    scoring = task.definition.scoring
    if scoring is Scoring.FIRST_TOKEN:
        heads = _plain(tokenizer, render_prompts(task, wanted, rows))
        return heads, [_first_tokens(tokenizer, task, rows[0].answers)] * len(rows)
    if scoring is Scoring.MEAN_LOGIT:
        return _split_off_labels(partial(_plain, tokenizer), render_prompts(task, wanted, rows), rows)
    texts = render_prompts(task, wanted, rows, special_tokens_of(tokenizer))
    return _split_off_labels(_reader(task, tokenizer, wanted, numbers), texts, rows)


def _suspects(task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, context_length: int) -> list[int]:
    """Rows whose prompts can be too long, those that hold the text of a special token, and the first few."""
    rows = task.splits[wanted.split]
    texts, special = render_prompts(task, wanted, rows), special_tokens_of(tokenizer)
    found = []
    for number, (text, row) in enumerate(zip(texts, rows, strict=True)):
        longest = max(len(answer.encode()) for answer in row.answers)
        most_tokens = len(text.encode()) + longest + SPECIAL_TOKENS  # no token is shorter than a byte
        foreign = foreign_tokens(task.wording, row, special)
        if number < SAMPLED_ROWS or most_tokens > context_length or foreign:
            found.append(number)
    return found


def _reader(
    task: Task, tokenizer: PreTrainedTokenizerBase, wanted: PromptSet, numbers: Sequence[int]
) -> Callable[[Sequence[str]], list[Tokens]]:
    """What reads the prompts of some rows, each alone or with an answer; the demonstrations are looked at here.

    Raises:
        TaskError: A demonstration, or a row, holds a special token that cannot be read as plain text.
    """
    members = task.splits[wanted.split]
    rows, shown = [members[number] for number in numbers], task.draw_demonstrations(wanted.shots, wanted.demo_seed)

    def where(place: int) -> str:
        return where_row(rows[place], wanted.split, numbers[place])

    def where_shown(place: int) -> str:
        return where_row(shown[place], "demonstrations")

    written, special = written_tokens(task, tokenizer), special_tokens_of(tokenizer)
    for named, each in ((where, rows), (where_shown, shown)) if written else ():
        for place, row in enumerate(each):
            check_row(task.wording, row, special, named(place))
    if shown:
        read_texts(tokenizer, demonstration_texts(task, shown, special), where_shown, written)
    return partial(read_texts, tokenizer, where=where, written=written)


def _split_off_labels(
    read: Callable[[Sequence[str]], list[Tokens]], texts: Sequence[str], rows: Sequence[Example]
) -> tuple[list[Tokens], list[tuple[Tokens, ...]]]:
    """Tokenise each prompt with each of its answers, and cut where they part from the prompt."""
    prompts = read(texts)
    labelled = [
        read([text + row.answers[number] for text, row in zip(texts, rows, strict=True)])
        for number in range(len(rows[0].answers))
    ]
    heads, labels = [], []
    for prompt, *whole in zip(prompts, *labelled, strict=True):
        shared: Tokens = shared_start([prompt, *whole])
        heads.append(shared)
        labels.append(tuple(tokens[len(shared) :] for tokens in whole))
    return heads, labels


def _plain(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> list[Tokens]:
    """Token ids of each text as the tokenizer gives them when asked for nothing special."""
    return [tuple(ids) for ids in tokenizer(list(texts), verbose=False)["input_ids"]]


def _first_tokens(tokenizer: PreTrainedTokenizerBase, task: Task, words: Sequence[str]) -> tuple[Tokens, ...]:
    """The release's one token of each label word: with a space before it, or alone after a beginning-of-text token."""
    started = tokenizer.bos_token_id is not None and _plain(tokenizer, [words[0]])[0][:1] == (tokenizer.bos_token_id,)
    encoded = _plain(tokenizer, words if started else [f" {word}" for word in words])
    firsts = tuple(tokens[1:2] if started else tokens[:1] for tokens in encoded)
    if len(set(firsts)) < len(firsts):
        raise TaskError(
            f"label words of task {task.name!r} ({', '.join(map(repr, words))}) begin with the same token, "
            f"and the variant scores first tokens only; expected words that begin differently. Take another tokenizer, "
            f"or variant: paper."
        )
    return firsts
