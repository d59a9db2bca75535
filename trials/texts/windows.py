"""A document cut into windows, so that each of its tokens is scored once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from clipsweep.trials.prompts.prompts import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What the model reads at once of a document.

    Attributes:
        context: What it is given: the prefix token or tokens of the document, at least one.
        scored: The tokens that follow, at least one.
    """

    context: Tokens
    scored: Tokens


def cut_windows(tokens: Sequence[int], prefix: int, length: int, stride: int) -> list[Window]:
    """Cut a document into windows.

    The first scores ``length`` tokens after the prefix token. Each later one scores the ``stride`` tokens that follow,
    after one token more than ``length - stride``; the last scores what is left, after as many tokens as fit. The
    model reads ``length`` tokens of a window at most, as it does not read the last one that is scored.

    Args:
        tokens: Of the document, without the prefix token.
        prefix: What stands before its first token.
        length: 1 or more.
        stride: From 1 to ``length``.

    Returns:
        In the document's order; none of a document without tokens.

    Source:
        ``get_rolling_token_windows`` of lm-evaluation-harness, with a ``context_len`` of ``length - stride + 1``.
    """
    text = (prefix, *tokens)
    windows: list[Window] = []
    begin = 0
    while begin < len(tokens):
        end = min(begin + (stride if windows else length), len(tokens))
        windows.append(Window(context=text[max(0, end - length) : begin + 1], scored=text[begin + 1 : end + 1]))
        begin = end
    return windows
