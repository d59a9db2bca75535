"""Which rows are screened, and in which order they go through the model."""

from __future__ import annotations

from dataclasses import replace

from clipsweep.trials.prompts.prompts import Prompts
from clipsweep.trials.screen.screened import LEAST_GROUPS


def rows_to_screen(prompts: Prompts, count: int) -> tuple[list[int], Prompts]:
    """The last rows of a split by their gold label, so that no group has two of them.

    What a clip does to the demonstrations favours one label in most rows: in the sum over rows of several gold labels
    that would cancel out.

    Args:
        prompts: Of the split.
        count: How many of them; all where there are fewer.

    Returns:
        The number of each row in the order of the last ones, and the prompts of these rows alone.
    """
    queries = prompts.queries[-count:]
    order = sorted(range(len(queries)), key=lambda number: queries[number].gold)
    cuts = [place for place in range(1, len(order)) if queries[order[place - 1]].gold != queries[order[place]].gold]
    return order, replace(prompts, queries=tuple(queries[number] for number in order), cuts=tuple(cuts), rows=None)


def rows_of_a_group(prompts: Prompts) -> int:
    """How many rows go through the model together where memory allows it: ten groups of them, or more."""
    return max(1, len(prompts.queries) // LEAST_GROUPS)
