"""Prompts as text, and which special tokens are the wording's own: those that its author wrote and means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from string import Formatter
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.definition import Example, Wording, columns_of
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.special import SpecialTokens, special_tokens_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def render_prompts(task: Task, wanted: PromptSet, rows: Sequence[Example], start: str | None = None) -> list[str]:
    """Prompts of some rows as text, up to the answer.

    Args:
        task: Where demonstrations come from.
        wanted: Which demonstrations.
        rows: Whose prompts.
        start: Text of the beginning-of-text token that is put before each prompt: no prompt begins with it as well.
    """
    demonstrations = task.draw_demonstrations(wanted.shots, wanted.demo_seed)
    head = "".join(demonstration_texts(task, demonstrations, start))
    queries = [row.query if demonstrations else row.alone for row in rows]
    return [_cut_start(head + text, start) for text in without_start(task.definition.wording, queries, start)]


def demonstration_texts(task: Task, demonstrations: Sequence[Example], start: str | None) -> list[str]:
    """Demonstrations as the prompt holds them; ``start`` as ``render_prompts`` takes it."""
    return without_start(task.definition.wording, [row.demonstration for row in demonstrations], start)


def without_start(wording: Wording, texts: Sequence[str], start: str | None) -> list[str]:
    """Texts without the beginning-of-text token that each begins with, as a demonstration is made of the query.

    They keep it where demonstrations are worded on their own and begin with it: there each is a turn, as in the chats
    of Llama 2.
    """
    return list(texts) if _has_turns(wording, start) else [_cut_start(text, start) for text in texts]


def written_tokens(task: Task, tokenizer: PreTrainedTokenizerBase) -> frozenset[str]:
    """Texts of the special tokens that the wording of a task holds, but for the one that a prompt begins with."""
    wording, special = task.definition.wording, special_tokens_of(tokenizer)
    queries = without_start(wording, [wording.query, wording.alone or ""], tokenizer.bos_token)
    templates = [*queries, wording.demonstration or "", *wording.answers, *(wording.demonstration_answers or ())]
    own = [literal for template in templates for literal, *_ in Formatter().parse(template)]
    own += [word for words in wording.words.values() for word in words.values()]
    return frozenset(token for text in own for token in special.all_in(text))


def where_row(row: Example, split: str, number: int | None = None) -> str:
    """A row by its place in the source, where the user can find it, and in our split."""
    inside = split if number is None else f"row {number} of {split}"
    return f"row {row.row[1]} of the source's {row.row[0]!r} ({inside})"


def foreign_tokens(wording: Wording, row: Example, special: SpecialTokens, start: str | None) -> list[str]:
    """Special tokens whose texts a row holds, in their order: those that its wording cannot have written.

    Args:
        wording: Of the task.
        row: Its texts are looked at, the answers included.
        special: Of the tokenizer.
        start: Text of the beginning-of-text token, which a query may begin with.
    """
    if not any(map(special.is_in, (row.query, row.alone, row.demonstration, *row.answers))):
        return []
    texts, templates = [row.query, row.alone], [wording.query, wording.alone or wording.query]
    pairs = zip(without_start(wording, texts, start), without_start(wording, templates, start), strict=True)
    pairs_of_row = [*pairs, *zip(row.answers, wording.answers, strict=True)]
    if wording.demonstration is not None:
        pairs_of_row.append((row.demonstration, wording.demonstration))
    return [
        token
        for text, template in pairs_of_row
        for token, count in Counter(special.all_in(text)).items()
        if count > _most(wording, template, token)
    ]


def check_row(wording: Wording, row: Example, special: SpecialTokens, start: str | None, where: str) -> None:
    """Refuse a row that holds special tokens, where the wording holds some: they would be read as if they were meant.

    Raises:
        TaskError: Which token.
    """
    if foreign := foreign_tokens(wording, row, special, start):
        raise TaskError(
            f"{where} holds the text of the special token {foreign[0]!r}; the wording of the task holds special tokens "
            f"itself, and the two could not be told apart. Remove it from the row, or the row."
        )


def _has_turns(wording: Wording, start: str | None) -> bool:
    """Whether each demonstration begins anew with the beginning-of-text token."""
    return start is not None and wording.demonstration is not None and wording.demonstration.startswith(start)


def _cut_start(text: str, start: str | None) -> str:
    """A text without the beginning-of-text token, and white space before it, where it begins with these."""
    bare = text.lstrip()
    return bare.removeprefix(start) if start and bare.startswith(start) else text


def _most(wording: Wording, template: str, token: str) -> int:
    """How often a template can write a special token, whatever is in the row."""
    literals = sum(literal.count(token) for literal, *_ in Formatter().parse(template))
    answers = wording.answers if wording.demonstration_answers is None else wording.demonstration_answers
    words = {column: tuple(held.values()) for column, held in wording.words.items()} | {"answer": answers}
    held = [words[column] for column in columns_of(template) & words.keys()]
    return literals + sum(max(text.count(token) for text in texts) for texts in held)
