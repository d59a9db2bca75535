"""A task of text with its windows, from its settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipsweep.trials.base.errors import TaskError, counted
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.trial import VALIDATION
from clipsweep.trials.tasks.definition import Example, Objective
from clipsweep.trials.tasks.load import GiveTokenizer
from clipsweep.trials.tasks.settings import TaskSettings, TextSettings
from clipsweep.trials.tasks.task import Task
from clipsweep.trials.texts.deal import Cut, Dealt, Sizes, deal_apart, deal_shared
from clipsweep.trials.texts.documents import Document, Documents, read_documents
from clipsweep.trials.texts.reader import TextReader
from clipsweep.trials.texts.tokens import prefix_token, read_documents_as_tokens
from clipsweep.trials.texts.windows import Window, cut_windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LEAST_LENGTH = 2


def define(settings: TaskSettings) -> Objective:
    """What a task of text is: no demonstrations, every token scored, less is better.

    Raises:
        TaskError: Windows of no use: too short, or a stride that leaves tokens out.
    """
    text = _text(settings)
    if text.length < LEAST_LENGTH:
        raise TaskError(
            f"task.text.length is {text.length}; expected {LEAST_LENGTH} or more tokens. Take what the model's context "
            f"holds, such as 1024."
        )
    if text.stride is not None and not 1 <= text.stride <= text.length:
        raise TaskError(
            f"task.text.stride is {text.stride}; expected 1 to task.text.length, {text.length}: how many tokens each "
            f"window scores. Leave it out to score all of each."
        )
    if settings.test_size and text.splits is not None and text.splits.test is None:
        raise TaskError(
            f"task.test_size is {settings.test_size}, but task.text.splits has no test; expected the name of a split. "
            f"Name one, or remove task.test_size."
        )
    return Objective(shots=0, scoring=Scoring.TEXT, metric="nll")


def load(settings: TaskSettings, cache: Path, tokenizer: GiveTokenizer | None) -> Task:
    """Load the documents, and cut them into windows.

    Args:
        settings: With a seed.
        cache: For rows of the hub.
        tokenizer: Gives the model's; called once the documents are read.

    Raises:
        TaskError: As ``define``; no tokenizer, no documents, or fewer windows than are asked for.
    """
    definition, text = define(settings), _text(settings)
    assert settings.seed is not None, "load_task() resolves it"
    if tokenizer is None:
        raise TaskError("text is cut into windows by a model's tokenizer, and no model is named. Give one: --model.")
    sources = _read_sources(text, settings.test_size, cache)
    reads = tokenizer()
    untested = text.splits is not None and text.splits.test is None
    sizes = Sizes(validation=settings.validation_size, test=0 if untested else settings.test_size)
    dealt = _deal(sources, _Cutter(reads, text), sizes, settings.seed)
    windows = {split: tuple(each.window for each in cuts) for split, cuts in dealt.splits.items()}
    rows = {split: _as_examples(cuts, reads) for split, cuts in dealt.splits.items()}
    contexts = {split: tuple(row.query for row in members) for split, members in rows.items()}
    return Task(
        name=settings.name,
        seed=settings.seed,
        definition=definition,
        demonstrations=(),
        splits=rows,
        dropped={VALIDATION: dealt.dropped},
        origins=tuple(origin for source in sources for origin in source.origins),
        reader=TextReader(windows=windows, length=text.length, contexts=contexts),
        prompts_hash=_hash(windows),
        notes=_notes(dealt),
    )


@dataclass(frozen=True, slots=True)
class _Cutter:
    """Cuts documents into windows."""

    tokenizer: PreTrainedTokenizerBase
    settings: TextSettings

    def __call__(self, documents: Sequence[Document]) -> list[list[Window]]:
        """Windows of each document."""
        prefix, length = prefix_token(self.tokenizer), self.settings.length
        stride = length if self.settings.stride is None else self.settings.stride
        read = read_documents_as_tokens(self.tokenizer, documents)
        return [cut_windows(tokens, prefix, length, stride) for tokens in read]


def _text(settings: TaskSettings) -> TextSettings:
    assert settings.text is not None, "a task of text has settings of text"
    return settings.text


def _read_sources(text: TextSettings, test_size: int | None, cache: Path) -> list[Documents]:
    """Documents of validation and of test, each from a split of its own; or those of both.

    Raises:
        TaskError: There are none.
    """
    splits = text.splits
    if splits is None:
        names: list[str | None] = [None]
    else:
        tested = test_size != 0 and splits.test is not None
        names = [*dict.fromkeys((splits.validation, splits.test) if tested else (splits.validation,))]
    found = [read_documents(text, name, cache) for name in names]
    for source, name in zip(found, names, strict=True):
        if not source.held:
            where = text.path if name is None else f"{text.path}, split {name!r},"
            raise TaskError(
                f"{where} holds no text; expected one document or more. Give files or rows with text in them, or "
                f"another task.text.column than {text.column!r}."
            )
    return found


def _deal(sources: Sequence[Documents], cut: _Cutter, sizes: Sizes, seed: int) -> Dealt:
    """Deal the documents to our splits."""
    if len(sources) == 1:
        return deal_shared(sources[0].held, cut, sizes, seed)
    validation, test = sources
    return deal_apart(validation.held, test.held, cut, sizes, seed)


def _as_examples(cuts: Sequence[Cut], tokenizer: PreTrainedTokenizerBase) -> tuple[Example, ...]:
    """Windows in words: what is given, and what is scored."""
    contexts = tokenizer.batch_decode([each.window.context for each in cuts], clean_up_tokenization_spaces=False)
    scored = tokenizer.batch_decode([each.window.scored for each in cuts], clean_up_tokenization_spaces=False)
    return tuple(
        Example(
            query=before,
            alone=before,
            answers=(text,),
            demonstration="",
            gold=0,
            row=each.document.place,
            part=each.number,
        )
        for each, before, text in zip(cuts, contexts, scored, strict=True)
    )


def _notes(dealt: Dealt) -> tuple[str, ...]:
    """Of how many documents the windows of each split are, and what that means where one has several."""
    counts = {split: len({each.document.place for each in cuts}) for split, cuts in dealt.splits.items()}
    if all(count == len(dealt.splits[split]) for split, count in counts.items()):
        return ()
    told = " and ".join(
        f"the {counted(len(dealt.splits[split]), 'window')} of {split} are of {counted(count, 'document')}"
        for split, count in counts.items()
    )
    return (
        f"{told}: windows of one document are not independent, so that intervals are too narrow and p too small where "
        f"documents are few",
    )


def _hash(windows: Mapping[str, Sequence[Window]]) -> str:
    """Hash of the tokens of all windows, and of how each is cut: 32 hexadecimal digits."""
    hashed = hashlib.sha256()
    for split, members in windows.items():
        hashed.update(f"{split} {len(members)} ".encode())
        for window in members:
            hashed.update(np.array([len(window.context), len(window.scored)], dtype="<u4").tobytes())
            hashed.update(np.array(window.context + window.scored, dtype="<u4").tobytes())
    return hashed.hexdigest()[:32]
