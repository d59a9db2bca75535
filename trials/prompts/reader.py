"""What makes the prompts of tasks that no wording of ours makes: of the harness, and of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.spec.trial import PromptSet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class PromptReader(Protocol):
    """Makes prompts as tokens."""

    def encode(
        self,
        tokenizer: PreTrainedTokenizerBase,
        wanted: PromptSet,
        context_length: int,
        numbers: Sequence[int] | None = None,
    ) -> Prompts:
        """Tokenise the prompts of a split.

        Args:
            tokenizer: The model's.
            wanted: Which demonstrations and which split.
            context_length: Longest sequence that the model takes.
            numbers: Rows of the split, ascending; None for all.

        Raises:
            TaskError: A prompt with its answer is longer than ``context_length``, or cannot be made.
        """

    def show(self, wanted: PromptSet, number: int) -> str:
        """The prompt of a row as text, up to its answers, demonstrations included.

        Args:
            wanted: Which demonstrations and which split.
            number: Of a row of the split.
        """
