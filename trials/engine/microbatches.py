"""Which queries run together: fixed by the prompts and the microbatch size, by nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.prompts.layout import Branches, Layout, Numbers, Place, lay_out
from clipsweep.trials.prompts.prompts import Prompts, Tokens
from clipsweep.trials.scores.scoring import Scoring

MICROBATCHES_PER_CHUNK = 8
NO_TOKEN = -1
PASS_TOKENS = 64  # what one more pass costs, told in tokens of padding that it must spare


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reads:
    """All that scores are summed from: arrays of one length, as a text has a reading for each of its tokens.

    A label gets the log-probability of a token at one position, times a weight; of no token the mean of all logits.

    Attributes:
        query: Number of the query that each reading counts for.
        label: Of that query.
        row: Where it is read: the row of the microbatch.
        position: In that row, counted after the prefix.
        token: Its id; ``NO_TOKEN`` for the mean of all logits.
        weight: How much it counts, float32.
    """

    query: Numbers
    label: Numbers
    row: Numbers
    position: Numbers
    token: Numbers
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        """How many."""
        return len(self.query)


@dataclass(frozen=True, kw_only=True, eq=False)
class Microbatch:
    """Rows of one forward pass, right-padded, and what is read from them.

    Attributes:
        sequences: Token ids after the shared prefix, each as the model would read it by itself.
        branches: How the sequences lie in rows; None where each is a row.
        reads: All that the scores are summed from.
        whole_vocabulary: Whether the logits of the labels' own tokens are never enough.
        leads: Whether it is read, too, how far each token is ahead of the rest of the vocabulary.
    """

    sequences: tuple[Tokens, ...]
    branches: Branches | None = None
    reads: Reads
    whole_vocabulary: bool = False
    leads: bool = False

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Positions, counted after the prefix, whose logits are needed in any row; ascending."""
        return tuple(np.unique(self.reads.position).tolist())

    @cached_property
    def queries(self) -> frozenset[int]:
        """Numbers of the queries that anything is read for."""
        return frozenset(np.unique(self.reads.query).tolist())

    @cached_property
    def places(self) -> tuple[Numbers, Numbers]:
        """Where anything is read: row and position of each place, ascending; and the place of each reading."""
        codes, place = np.unique(self.reads.row * self.width + self.reads.position, return_inverse=True)
        return np.stack(np.divmod(codes, self.width)), place.reshape(-1)

    @cached_property
    def n_answers(self) -> int:
        """Most positions read of one row."""
        (rows, _), _ = self.places
        return int(np.bincount(rows).max())

    @property
    def reads_all(self) -> bool:
        """Whether log-probabilities are read all over a text, so that the last block has no position to leave out."""
        return self.whole_vocabulary and self.n_answers == self.width

    @cached_property
    def tokens(self) -> tuple[int, ...] | None:
        """Ids whose logits are enough: where each label is one token, read where the others are; None for all."""
        labels = np.unique(self.reads.query * (1 + self.reads.label.max()) + self.reads.label)
        _, place = self.places
        places = np.unique(self.reads.query * len(self.reads) + place)
        single = len(labels) == len(self.reads) and len(places) == len(self.queries)
        if self.whole_vocabulary or self.averages or not single:
            return None
        return tuple(np.unique(self.reads.token).tolist())

    @property
    def averages(self) -> bool:
        """Whether means of all logits are read."""
        return bool(self.reads.token[0] == NO_TOKEN)

    @property
    def n_rows(self) -> int:
        """How many rows."""
        return len(self.sequences) if self.branches is None else len(self.branches.sequence)

    @property
    def width(self) -> int:
        """Tokens of the longest row."""
        return max(map(len, self.sequences)) if self.branches is None else self.branches.sequence.shape[1]


def plan_microbatches(prompts: Prompts, size: int, *, branches: bool = False) -> Iterator[Microbatch]:
    """Cut a split into microbatches of ``size`` queries, or fewer.

    No microbatch holds queries from both sides of one of the prompts' cuts. Between two cuts the split's order is cut
    into chunks of ``MICROBATCHES_PER_CHUNK`` microbatches, and queries are sorted by length within a chunk only. A
    microbatch is smaller where that spares more padding than another pass costs. Where a part of the split is
    evaluated, its microbatches are those of the whole split that hold any of its queries.

    Args:
        prompts: One split, tokenised.
        size: Queries of a microbatch.
        branches: Whether the labels of a query may branch off one copy of its tokens.
    """
    for chunk in _chunks(prompts, size * MICROBATCHES_PER_CHUNK):
        layouts = {number: lay_out(prompts, prompts.queries[number], branches=branches) for number in chunk}
        for together in _pack(layouts, size):
            if any(number in prompts.evaluated for number in together):
                yield _gather(prompts, {number: layouts[number] for number in together})


def _chunks(prompts: Prompts, length: int) -> Iterator[range]:
    """Numbers of the queries of each chunk that any evaluated query is in."""
    evaluated = prompts.evaluated
    for start, stop in pairwise((0, *prompts.cuts, len(prompts.queries))):
        for first in range(start, stop, length):
            chunk = range(first, min(first + length, stop))
            if chunk.start < evaluated.stop and evaluated.start < chunk.stop:
                yield chunk


def _pack(layouts: Mapping[int, Layout], size: int) -> list[list[int]]:
    """Cut a chunk, sorted by length, where tokens with their padding and ``PASS_TOKENS`` for each pass are fewest."""
    widths = {number: layout.width for number, layout in layouts.items()}
    order = sorted(layouts, key=widths.__getitem__)
    before = np.array([*accumulate((layouts[number].rows for number in order), initial=0)])
    cost, begins = np.zeros(len(order) + 1, dtype=np.int64), [0]
    for stop, number in enumerate(order, start=1):  # the last microbatch of the best way to cut the first so many
        first = max(0, stop - size)
        costs = cost[first:stop] + (before[stop] - before[first:stop]) * widths[number] + PASS_TOKENS
        begins.append(stop - 1 - int(costs[::-1].argmin()))  # of equals the smallest, so that the full ones come first
        cost[stop] = costs[begins[stop] - first]
    return _cut(order, begins)


def _cut(order: Sequence[int], begins: Sequence[int]) -> list[list[int]]:
    """Queries that run together, where ``begins`` tells for each end at which place its microbatch begins."""
    found: list[list[int]] = []
    stop = len(order)
    while stop:
        found.append([*order[begins[stop] : stop]])
        stop = begins[stop]
    return found[::-1]


def gather(prompts: Prompts, numbers: Sequence[int], *, branches: bool = False) -> Microbatch:
    """The microbatch of these queries; arguments as for ``plan_microbatches``."""
    return _gather(
        prompts, {number: lay_out(prompts, prompts.queries[number], branches=branches) for number in numbers}
    )


def _gather(prompts: Prompts, layouts: Mapping[int, Layout]) -> Microbatch:
    """The microbatch of some queries, laid out."""
    labels: list[tuple[int, int, int]] = []  # query, label and row
    found: list[tuple[Numbers, Numbers, float]] = []  # positions, tokens and their weight
    row = 0
    for number, layout in layouts.items():
        labels += [(number, label, row + place.row) for label, place in enumerate(layout.labels)]
        found += [_find(prompts, number, label, place) for label, place in enumerate(layout.labels)]
        row += layout.rows
    positions, tokens, weights = zip(*found, strict=True)
    counts = [len(each) for each in positions]
    of_reads = np.repeat(np.array(labels).T, counts, axis=1)
    return Microbatch(
        sequences=tuple(sequence for layout in layouts.values() for sequence in layout.sequences),
        branches=_lay_in_rows(list(layouts.values())),
        reads=Reads(
            query=of_reads[0],
            label=of_reads[1],
            row=of_reads[2],
            position=np.concatenate(positions),
            token=np.concatenate(tokens),
            weight=np.repeat(np.array(weights, dtype=np.float32), counts),
        ),
        whole_vocabulary=prompts.whole_vocabulary,
        leads=prompts.scoring is Scoring.GREEDY,
    )


def _lay_in_rows(layouts: Sequence[Layout]) -> Branches | None:
    """How the sequences of a microbatch lie in rows; None where each is one. Padding stands for a row's first token."""
    if not any(layout.branches for layout in layouts):
        return None
    sequences = [sequence for layout in layouts for sequence in layout.sequences]
    shape = sum(layout.rows for layout in layouts), max(layout.width for layout in layouts)
    place = np.full((len(sequences), max(map(len, sequences)) + 1), shape[1])
    sequence, position = np.full(shape, -1), np.zeros(shape, dtype=np.int64)
    number, first = 0, 0
    for layout in layouts:
        for held in layout.places:
            row, count = first + held.row, len(held.tokens)
            place[number, :count] = held.tokens
            sequence[row, held.tokens], position[row, held.tokens] = number, np.arange(count)
            number += 1
        first += layout.rows
    return Branches(sequence=np.where(sequence < 0, sequence[:, :1], sequence), position=position, place=place)


def _find(prompts: Prompts, number: int, label: int, place: Place) -> tuple[Numbers, Numbers, float]:
    """What the score of a label is summed from: positions in its row, the token read at each, and their weight."""
    query = prompts.queries[number]
    tokens = query.labels[label]
    if prompts.scoring is Scoring.MEAN_LOGIT:
        length = len(query.tokens) + len(tokens)
        return place.tokens[:length], np.full(length, NO_TOKEN), 1 / length
    first = query.unscored[label] if query.unscored else 0
    before, count = len(query.tokens) - 1 + first, len(tokens) - first
    weight = 1 / count if prompts.scoring is Scoring.MEAN_LOGLIKELIHOOD else 1.0
    return place.tokens[before : before + count], np.array(tokens[first:]), weight
