"""What a user should know of how a model will read the prompts of a task: spaces before answers, special tokens."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from string import Formatter
from typing import TYPE_CHECKING

from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.tasks.definition import Example, Wording
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.tokens.special import special_tokens_of
from clipsweep.trials.tokens.wording import foreign_tokens, where_row, written_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROWS = 8  # looked at: what a query ends with is seldom of the row
OPENING = {"Ps", "Pi", "Pc", "Pd", "Sc", "Sm", "Sk"}  # Unicode's categories of what a word follows without a space …
OPENING_CHARACTERS = "\"'/\\#@&*"  # … and others that it may follow so
ARROWS = ("->", "=>")  # but not these, though they end in a sign of mathematics
SPACELESS = {  # what the names of letters begin with in scripts that put no space between words
    "BOPOMOFO", "CJK", "FULLWIDTH", "HALFWIDTH", "HIRAGANA", "IDEOGRAPHIC", "JAVANESE", "KATAKANA", "KATAKANA-HIRAGANA",
    "KHMER", "LAO", "MYANMAR", "THAI", "TIBETAN", "YI",
}  # fmt: skip


def prompt_notes(task: Task, tokenizer: PreTrainedTokenizerBase, split: str) -> list[str]:
    """Notes on answers that do not follow the prompt as a model has seen it, and on special tokens in rows.

    The release's tokens are as they are, and nothing is said of them. Where no wording of ours makes the prompts, it is
    told how their rows were come by.
    """
    if task.reader is not None:
        return list(task.notes)
    if task.definition.scoring in (Scoring.FIRST_TOKEN, Scoring.MEAN_LOGIT):
        return []
    rows = task.splits[split][:ROWS]
    queries = [row.query for row in rows]
    notes = [
        _joined_note(tokenizer, queries, rows),
        _demonstration_note(tokenizer, task.wording, rows),
        _end_note(task, tokenizer),
        _doubled_note(queries, rows),
        _ends_note(rows),
        _alike_note(rows),
        _special_note(task, tokenizer, split),
    ]
    return [note for note in notes if note]


def _joined_note(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str], rows: Sequence[Example]) -> str:
    """A word joined to the prompt, where the tokenizer has another token for it after a space."""
    for prompt, row in zip(prompts, rows, strict=True):
        if not _wants_space(tokenizer, prompt):
            continue
        joined = [answer for answer in row.answers if _begins_word(answer) and _is_other(tokenizer, prompt, answer)]
        if joined:
            return (
                f"{_named(joined, 'follow')} {_tail(prompt)!r} without a space, and this tokenizer has other "
                f"tokens for it after one; a model has seldom seen it so. Begin each answer with a space "
                f"({' ' + joined[0]!r}), unless it is meant"
            )
    return ""


def _demonstration_note(tokenizer: PreTrainedTokenizerBase, wording: Wording, rows: Sequence[Example]) -> str:
    """A demonstration of its own whose answer has lost the space that is scored: ``{answer}`` is without it."""
    for before, name, _, conversion in Formatter().parse(wording.demonstration or ""):
        if name != "answer" or conversion is not None or not before or not _wants_space(tokenizer, before):
            continue
        spaced = [answer for row in rows for answer in row.answers if answer.startswith(" ")]
        joined = [word for word in map(str.strip, spaced) if _begins_word(word) and _is_other(tokenizer, before, word)]
        if wording.demonstration_answers is None and joined:
            return (
                f"in demonstrations {_named(joined, 'follow')} {_tail(before)!r} without the space that is scored: "
                f"{{answer}} is without outer white space. Write {{answer!w}}, which keeps it, or a space before it"
            )
    return ""


def _end_note(task: Task, tokenizer: PreTrainedTokenizerBase) -> str:
    """Answers that are scored with the end-of-text token, where demonstrations show another end."""
    shown, end = task.wording.demonstration, tokenizer.eos_token
    if not task.ends_answers or not task.demonstrations or end is None or (shown is not None and end in shown):
        return ""
    after = repr("\n") if shown is None else "what task.definition.demonstration has there"
    return (
        f"answers are scored with the end-of-text token {end!r}, but in demonstrations, where there are any, they end "
        f"in {after}: the model is shown another end than it is asked for. Set task.definition.demonstration to one "
        f"with {end} after {{answer}}, or shots to 0"
    )


def _doubled_note(prompts: Sequence[str], rows: Sequence[Example]) -> str:
    """A word after two spaces: one of the prompt and one of its own, or two of its own."""
    for prompt, row in zip(prompts, rows, strict=True):
        spaces = len(prompt) - len(prompt.rstrip(" "))
        doubled = [answer for answer in row.answers if spaces + len(answer) - len(answer.lstrip(" ")) > 1]
        if doubled:
            return (
                f"{_named(doubled, 'follow')} {_tail(prompt)!r} after two spaces or more; a model has seldom "
                f"seen it so. Leave one, at the beginning of the answer"
            )
    return ""


def _ends_note(rows: Sequence[Example]) -> str:
    """Answers that end in spaces."""
    ends = [answer for row in rows for answer in row.answers if answer != answer.rstrip(" \t")]
    return f"{_named(ends, 'end')} in white space, which is scored too; remove it, unless it is meant" if ends else ""


def _alike_note(rows: Sequence[Example]) -> str:
    """Answers that a careless eye takes for one."""
    for row in rows:
        if len({answer.strip().casefold() for answer in row.answers}) < len(row.answers):
            answers = ", ".join(map(repr, row.answers))
            return f"some of the answers {answers} differ in case or white space alone; check that this is meant"
    return ""


def _special_note(task: Task, tokenizer: PreTrainedTokenizerBase, split: str) -> str:
    """Rows that hold the text of a special token; where the wording holds some too, such rows are refused."""
    special, rows = special_tokens_of(tokenizer), task.splits[split]
    found = []
    for number, row in enumerate(rows):
        foreign = foreign_tokens(task.wording, row, special)
        found += [(where_row(row, split, number), token) for token in foreign[:1]]
    if not found or written_tokens(task, tokenizer):
        return ""
    where, token = found[0]
    return (
        f"{len(found)} of {len(rows)} rows of {split} hold the text of a special token (first {where}, {token!r}), "
        f"which is read as plain text; a token that is meant belongs into the wording, such as task.definition.query"
    )


def _wants_space(tokenizer: PreTrainedTokenizerBase, prompt: str) -> bool:
    """Whether a word that follows a prompt would be written after a space."""
    last = prompt[-1:]
    if prompt.endswith(ARROWS):
        return True
    if not last or last.isspace() or _is_spaceless(last) or last in OPENING_CHARACTERS:
        return False
    special = special_tokens_of(tokenizer).texts.values()
    return unicodedata.category(last) not in OPENING and not prompt.endswith(tuple(special))


def _begins_word(answer: str) -> bool:
    """Whether an answer begins with a letter or digit of a script with spaces between words."""
    return answer[:1].isalnum() and not _is_spaceless(answer[0])


def _is_spaceless(character: str) -> bool:
    return unicodedata.name(character, "").partition(" ")[0] in SPACELESS


def _is_other(tokenizer: PreTrainedTokenizerBase, prompt: str, answer: str) -> bool:
    """Whether a word is read as other tokens after a space, and not as the same ones after one for the space."""
    joined, apart = tokenizer([prompt + answer, f"{prompt} {answer}"], add_special_tokens=False, verbose=False)[
        "input_ids"
    ]
    shared = next((n for n, pair in enumerate(zip(joined, apart, strict=False)) if pair[0] != pair[1]), len(joined))
    return shared < len(joined) and joined[shared:] != apart[shared + 1 :]


def _named(answers: Sequence[str], verb: str) -> str:
    """The first few answers in words, with what they do."""
    different = list(dict.fromkeys(answers))
    more = f" and {len(different) - 3} more" if len(different) > 3 else ""
    several = len(different) > 1
    return f"answer{'s' * several} {', '.join(map(repr, different[:3]))}{more} {verb}{'s' * (not several)}"


def _tail(prompt: str) -> str:
    """How the last line of a prompt ends."""
    return prompt.rpartition("\n")[2][-24:]
