"""Which queries run together: fixed by the prompts and the microbatch size, by nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from clipsweep.trials.prompts.prompts import Prompts, Tokens
from clipsweep.trials.scores.scoring import Scoring

MICROBATCHES_PER_CHUNK = 8
NO_TOKEN = -1
PASS_TOKENS = 64  # what one more pass costs, told in tokens of padding that it must spare


Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reads:
    """All that scores are summed from: arrays of one length, as a text has a reading for each of its tokens.

    A label gets the log-probability of a token at one position, times a weight; of no token the mean of all logits.

    Attributes:
        query: Number of the query that each reading counts for.
        label: Of that query.
        sequence: Where it is read: the sequence of the microbatch.
        position: Of that sequence, counted after the prefix.
        token: Its id; ``NO_TOKEN`` for the mean of all logits.
        weight: How much it counts, float32.
    """

    query: Numbers
    label: Numbers
    sequence: Numbers
    position: Numbers
    token: Numbers
    weight: NDArray[np.float32]

    def __len__(self) -> int:
        """How many."""
        return len(self.query)

    @classmethod
    def join(cls, parts: Sequence[Reads]) -> Reads:
        """One after the other."""
        return cls(**{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)})


@dataclass(frozen=True, kw_only=True, eq=False)
class Microbatch:
    """Sequences of one forward pass, right-padded, and what is read from them.

    Attributes:
        sequences: Token ids after the shared prefix.
        reads: All that the scores are summed from.
        whole_vocabulary: Whether the logits of the labels' own tokens are never enough.
        leads: Whether it is read, too, how far each token is ahead of the rest of the vocabulary.
    """

    sequences: tuple[Tokens, ...]
    reads: Reads
    whole_vocabulary: bool = False
    leads: bool = False

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Positions, counted after the prefix, whose logits are needed in any sequence; ascending."""
        return tuple(np.unique(self.reads.position).tolist())

    @cached_property
    def queries(self) -> frozenset[int]:
        """Numbers of the queries that anything is read for."""
        return frozenset(np.unique(self.reads.query).tolist())

    @cached_property
    def places(self) -> tuple[Numbers, Numbers]:
        """Where anything is read: sequence and position of each place, ascending; and the place of each reading."""
        codes, place = np.unique(self.reads.sequence * self.width + self.reads.position, return_inverse=True)
        return np.stack(np.divmod(codes, self.width)), place.reshape(-1)

    @cached_property
    def n_answers(self) -> int:
        """Most positions read of one sequence."""
        (sequences, _), _ = self.places
        return int(np.bincount(sequences).max())

    @cached_property
    def tokens(self) -> tuple[int, ...] | None:
        """Ids whose logits are enough: those of the labels, where each is one token; None for the whole vocabulary."""
        labels = np.unique(np.stack([self.reads.query, self.reads.label]), axis=1)
        if self.whole_vocabulary or self.averages or labels.shape[1] < len(self.reads):
            return None
        return tuple(np.unique(self.reads.token).tolist())

    @property
    def averages(self) -> bool:
        """Whether means of all logits are read."""
        return bool(self.reads.token[0] == NO_TOKEN)

    @property
    def width(self) -> int:
        """Tokens of the longest sequence."""
        return max(map(len, self.sequences))


def plan_microbatches(prompts: Prompts, size: int) -> Iterator[Microbatch]:
    """Cut a split into microbatches of ``size`` queries, or fewer.

    No microbatch holds queries from both sides of one of the prompts' cuts. Between two cuts the split's order is cut
    into chunks of ``MICROBATCHES_PER_CHUNK`` microbatches, and queries are sorted by length within a chunk only. A
    microbatch is smaller where that spares more padding than another pass costs. Where a part of the split is
    evaluated, its microbatches are those of the whole split that hold any of its queries.
    """
    for chunk in _chunks(prompts, size * MICROBATCHES_PER_CHUNK):
        for together in _pack(prompts, chunk, size):
            if any(number in prompts.evaluated for number in together):
                yield gather(prompts, together)


def _chunks(prompts: Prompts, length: int) -> Iterator[range]:
    """Numbers of the queries of each chunk that any evaluated query is in."""
    evaluated = prompts.evaluated
    for start, stop in pairwise((0, *prompts.cuts, len(prompts.queries))):
        for first in range(start, stop, length):
            chunk = range(first, min(first + length, stop))
            if chunk.start < evaluated.stop and evaluated.start < chunk.stop:
                yield chunk


def _pack(prompts: Prompts, chunk: range, size: int) -> list[list[int]]:
    """Cut a chunk, sorted by length, where tokens with their padding and ``PASS_TOKENS`` for each pass are fewest."""
    sequences = {number: prompts.sequences(prompts.queries[number]) for number in chunk}
    widths = {number: max(map(len, each)) for number, each in sequences.items()}
    order = sorted(chunk, key=widths.__getitem__)
    before = np.array([*accumulate((len(sequences[number]) for number in order), initial=0)])
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


def gather(prompts: Prompts, numbers: Sequence[int]) -> Microbatch:
    """The microbatch of these queries."""
    sequences: list[Tokens] = []
    reads: list[Reads] = []
    for number in numbers:
        query = prompts.queries[number]
        needed = prompts.sequences(query)
        for label in range(len(query.labels)):
            sequence = len(sequences) + (0 if len(needed) == 1 else label)
            reads.append(_read(prompts, number, label, sequence))
        sequences += needed
    return Microbatch(
        sequences=tuple(sequences),
        reads=Reads.join(reads),
        whole_vocabulary=prompts.whole_vocabulary,
        leads=prompts.scoring is Scoring.GREEDY,
    )


def _read(prompts: Prompts, number: int, label: int, sequence: int) -> Reads:
    """What the score of a label is summed from, where its text stands in this sequence."""
    query = prompts.queries[number]
    tokens = query.labels[label]
    if prompts.scoring is Scoring.MEAN_LOGIT:
        length = len(query.tokens) + len(tokens)
        position, token, weight = np.arange(length), np.full(length, NO_TOKEN), 1 / length
    else:
        first = query.unscored[label] if query.unscored else 0
        position = np.arange(first, len(tokens)) + len(query.tokens) - 1
        token = np.array(tokens[first:])
        weight = 1 / len(token) if prompts.scoring is Scoring.MEAN_LOGLIKELIHOOD else 1.0
    return Reads(
        query=np.full(len(position), number),
        label=np.full(len(position), label),
        sequence=np.full(len(position), sequence),
        position=position,
        token=token,
        weight=np.full(len(position), weight, dtype=np.float32),
    )
