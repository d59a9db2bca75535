"""A tokenizer that is loaded once it is asked for: transformers takes seconds to import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def tokenizer_later(find: Callable[[], Path]) -> Callable[[], PreTrainedTokenizerBase]:
    """What loads a checkpoint's tokenizer when it is called.

    Args:
        find: Gives the checkpoint's folder.
    """

    def load() -> PreTrainedTokenizerBase:
        from clipsweep.trials.tokens.tokenizer import load_tokenizer

        return load_tokenizer(find())

    return load
