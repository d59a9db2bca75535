"""The windows of a task of text as prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipsweep.trials.base.errors import TaskError
from clipsweep.trials.prompts.prompts import Prompts, Query
from clipsweep.trials.scores.scoring import Scoring
from clipsweep.trials.spec.ladder import cuts_of
from clipsweep.trials.spec.trial import PromptSet
from clipsweep.trials.tasks.settings import DEFAULT_LENGTH, TextSettings
from clipsweep.trials.texts.windows import Window

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def check_length(text: TextSettings | None, context_length: int) -> None:
    """Refuse windows that the user wants longer than the model's context, before a document is read.

    That a study states the default, as the copy in its folder does, says nothing: its windows are compared once cut.

    Args:
        text: Of a task; None where it is not of text.
        context_length: Longest sequence that the model takes.

    Raises:
        TaskError: They are longer.
    """
    if text is not None and text.length != DEFAULT_LENGTH and text.length > context_length:
        raise TaskError(
            f"task.text.length is {text.length:,}, but the model's context is {context_length:,} tokens; expected at "
            f"most as many. Set task.text.length to {context_length:,} or less, or take a model with more context."
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TextReader:
    """Gives the windows of each split; they are made when the task is loaded.

    Attributes:
        windows: Of each split, in its seeded order.
        length: Tokens that the model reads of a window at most, as the study says.
        contexts: Of each window, as text, what stands before the tokens that are scored.
    """

    windows: Mapping[str, tuple[Window, ...]]
    length: int
    contexts: Mapping[str, tuple[str, ...]]

    def show(self, wanted: PromptSet, number: int) -> str:
        """As ``PromptReader.show``: what is given of a window, and not scored."""
        return self.contexts[wanted.split][number]

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,  # noqa: ARG002 - the windows are tokens already
        wanted: PromptSet,
        context_length: int,
        numbers: Sequence[int] | None = None,
    ) -> Prompts:
        """As ``PromptReader.encode``.

        Raises:
            TaskError: Windows are longer than ``context_length``.
        """
        windows = self.windows[wanted.split]
        numbers = range(len(windows)) if numbers is None else numbers
        chosen = (windows[number] for number in numbers)
        queries = tuple(Query(tokens=each.context, labels=(each.scored,), gold=0) for each in chosen)
        prompts = Prompts(prefix=(), queries=queries, scoring=Scoring.TEXT, cuts=cuts_of(numbers, len(windows)))
        longest = prompts.longest()
        if longest > context_length:
            raise TaskError(
                f"task.text.length is {self.length:,}, which makes windows of {longest:,} tokens; the model's context "
                f"is {context_length:,}. Set task.text.length to {context_length:,} or less, or take a model with more."
            )
        return prompts
