"""How the texts of a query's labels lie in sequences: each with the query's tokens, or all after one copy of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens

Numbers = NDArray[np.int64]
TOKENS_KEYS = 6 * 1024  # keys whose products cost a token as much as all matrices do, in a model of width 1,024


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a text lies.

    Attributes:
        row: Number of the row among those of its query.
        tokens: For each token its place in that row, ascending.
    """

    row: int
    tokens: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The texts of one query's labels, in rows.

    Attributes:
        sequences: What the model must read.
        places: Of each sequence.
        labels: Place of each label's text.
    """

    sequences: tuple[Tokens, ...]
    places: tuple[Place, ...]
    labels: tuple[Place, ...]

    @property
    def rows(self) -> int:
        """How many rows."""
        return 1 + self.places[-1].row

    @property
    def width(self) -> int:
        """Tokens of the longest row."""
        return 1 + max(int(place.tokens[-1]) for place in self.places)

    @property
    def branches(self) -> bool:
        """Whether several sequences lie in one row."""
        return self.rows < len(self.sequences)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branches:
    """How sequences lie in rows, each row a tree of those that begin alike.

    Attributes:
        sequence: For each token of each row one of the sequences that it stands in, shape ``(rows, width)``.
        position: Its position there, of the same shape.
        place: For each token of each sequence its place in its row, shape ``(sequences, tokens)``; of padding, which
            has none, the width of the rows.
    """

    sequence: Numbers
    position: Numbers
    place: Numbers


def lay_out(prompts: Prompts, query: Query, *, branches: bool) -> Layout:
    """Lay out what must be read of a query.

    Args:
        prompts: Say what must be read.
        query: One of them.
        branches: Whether labels may branch off one copy of the query, where that costs less.
    """
    texts = prompts.sequences(query)
    if branches and len(texts) > 1:
        tree = _grow(texts, len(query.tokens))
        if not tree.branches or _cost(prompts, [tree.width]) < _cost(prompts, map(len, texts)):
            return tree
    places = tuple(Place(row=row, tokens=np.arange(len(text))) for row, text in enumerate(texts))
    labels = places if len(texts) > 1 else places * len(query.labels)
    return Layout(sequences=texts, places=places, labels=labels)


def _grow(texts: Sequence[Tokens], shared: int) -> Layout:
    """A tree of texts that have so many first tokens in common: what any two have in common stands there once."""
    children: dict[tuple[int, int], int] = {}  # by a token's place and the token that follows it
    labels: list[Place] = []
    for text in texts:
        path, last = list(range(shared)), shared - 1
        for token in text[shared:]:
            last = children.setdefault((last, token), shared + len(children))
            path.append(last)
        labels.append(Place(row=0, tokens=np.array(path)))
    parents = {parent for parent, _ in children}
    leaves = {int(label.tokens[-1]): number for number, label in enumerate(labels)}
    kept = [number for last, number in leaves.items() if last not in parents]
    return Layout(
        sequences=tuple(texts[number] for number in kept),
        places=tuple(labels[number] for number in kept),
        labels=tuple(labels),
    )


def _cost(prompts: Prompts, rows: Iterable[int]) -> int:
    """What rows of so many tokens cost, up to a factor: by their tokens, and by the keys that these attend to."""
    return sum(tokens * (TOKENS_KEYS + len(prompts.prefix) + tokens) for tokens in rows)
