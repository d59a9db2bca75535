"""Prompts as text, and which special tokens are the wording's own: those that its author wrote and means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from string import Formatter
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.rows.template import columns_of
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.definition import Example, Wording, place_words
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.special import SpecialTokens, special_tokens_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def render_prompts(
    task: Task, wanted: PromptSet, rows: Sequence[Example], special: SpecialTokens | None = None
) -> list[str]:
    """Prompts of some rows as text, up to the answer.

    Args:
        task: Where demonstrations come from.
        wanted: Which demonstrations.
        rows: Whose prompts.
        special: Of the tokenizer, where it puts a beginning-of-text token before each prompt: no prompt begins with
            its text as well.
    """
    if task.reader is not None:
        members = task.splits[wanted.split]
        return [_cut_start(task.reader.show(wanted, members.index(row)), special) for row in rows]
    head = _head(task, wanted, special)
    queries = [row.query if wanted.shots else row.alone for row in rows]
    return [_cut_start(head + text, special) for text in _without_start(task.wording, queries, special)]


def render_demonstrations(task: Task, wanted: PromptSet, special: SpecialTokens | None = None) -> str:
    """What all of those prompts begin with, as text: the demonstrations alone."""
    return _cut_start(_head(task, wanted, special), special)


def _head(task: Task, wanted: PromptSet, special: SpecialTokens | None) -> str:
    demonstrations = task.draw_demonstrations(wanted.shots, wanted.demo_seed)
    return "".join(demonstration_texts(task, demonstrations, special))


def demonstration_texts(task: Task, demonstrations: Sequence[Example], special: SpecialTokens | None) -> list[str]:
    """Demonstrations as the prompt holds them; ``special`` as ``render_prompts`` takes it."""
    return _without_start(task.wording, [row.demonstration for row in demonstrations], special)


def written_tokens(task: Task, tokenizer: PreTrainedTokenizerBase) -> frozenset[str]:
    """Texts of the special tokens that the wording of a task holds, but for the one that a prompt begins with."""
    wording, special = task.wording, special_tokens_of(tokenizer)
    prompts = _without_start(wording, [wording.query, wording.alone or "", wording.demonstration or ""], special)
    templates = [*prompts, *wording.answers, *(wording.demonstration_answers or ())]
    own = [literal for template in templates for literal, *_ in Formatter().parse(template)]
    own += [word for words in wording.words.values() for word in words.values()]
    return frozenset(token for text in own for token in special.all_in(text))


def where_row(row: Example, split: str, number: int | None = None) -> str:
    """A row by its place in the source, where the user can find it, and in our split."""
    inside = split if number is None else f"row {number} of {split}"
    part = "" if row.part is None else f", part {row.part}"
    return f"{place_words(*row.row, row.of_task)}{part} ({inside})"


def foreign_tokens(wording: Wording, row: Example, special: SpecialTokens) -> list[str]:
    """Special tokens whose texts a row holds, in their order: those that its wording cannot have written.

    Args:
        wording: Of the task.
        row: Its texts are looked at, the answers included.
        special: Of the tokenizer; the one that a prompt may begin with is none of the row's.
    """
    if not any(map(special.is_in, (row.query, row.alone, row.demonstration, *row.answers))):
        return []
    texts, templates = [row.query, row.alone], [wording.query, wording.alone or wording.query]
    pairs = zip(_without_start(wording, texts, special), _without_start(wording, templates, special), strict=True)
    pairs_of_row = [*pairs, *zip(row.answers, wording.answers, strict=True)]
    if wording.demonstration is not None:
        pairs_of_row.append((row.demonstration, wording.demonstration))
    return [
        token
        for text, template in pairs_of_row
        for token, count in Counter(special.all_in(text)).items()
        if count > _most(wording, template, token)
    ]


def check_row(wording: Wording, row: Example, special: SpecialTokens, where: str) -> None:
    """Refuse a row that holds special tokens, where the wording holds some: they would be read as if they were meant.

    Raises:
        TaskError: Which token.
    """
    if foreign := foreign_tokens(wording, row, special):
        raise TaskError(
            f"{where} holds the text of the special token {foreign[0]!r}; the wording of the task holds special tokens "
            f"itself, and the two could not be told apart. Remove it from the row, or the row."
        )


def _without_start(wording: Wording, texts: Sequence[str], special: SpecialTokens | None) -> list[str]:
    """Texts without the beginning-of-text token that each begins with; turns of a chat keep it."""
    return list(texts) if _has_turns(wording, special) else [_cut_start(text, special) for text in texts]


def _has_turns(wording: Wording, special: SpecialTokens | None) -> bool:
    """Whether each demonstration is a text of its own, from its beginning token to its end token, as Llama 2 wants."""
    text = (wording.demonstration or "").strip()
    if special is None or special.start is None or special.end is None:
        return False
    return text.startswith(special.start) and text.removeprefix(special.start).endswith(special.end)


def _cut_start(text: str, special: SpecialTokens | None) -> str:
    """A text without the beginning-of-text token, and white space before it, where it begins with these."""
    start = None if special is None else special.start
    bare = text.lstrip()
    return bare.removeprefix(start) if start and bare.startswith(start) else text


def _most(wording: Wording, template: str, token: str) -> int:
    """How often a template can write a special token, whatever is in the row."""
    literals = sum(literal.count(token) for literal, *_ in Formatter().parse(template))
    answers = wording.answers if wording.demonstration_answers is None else wording.demonstration_answers
    words = {column: tuple(held.values()) for column, held in wording.words.items()} | {"answer": answers}
    held = [words[column] for column in columns_of(template) & words.keys()]
    return literals + sum(max(text.count(token) for text in texts) for texts in held)
