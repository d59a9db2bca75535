"""Which queries run together: fixed by the prompts and the microbatch size, by nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

import numpy as np

from clipsweep.trials.prompts.prompts import Prompts, Query, Tokens
from clipsweep.trials.scores.scoring import Scoring

MICROBATCHES_PER_CHUNK = 8
PASS_TOKENS = 64  # what one more pass costs, told in tokens of padding that it must spare


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a label of a query gets from one position of a sequence, times ``weight``.

    The log-probability of ``token``; of no token the mean of all logits.
    """

    query: int
    label: int
    sequence: int
    position: int
    token: int | None
    weight: float


@dataclass(frozen=True, kw_only=True)
class Microbatch:
    """Sequences of one forward pass, right-padded, and what is read from them.

    Attributes:
        sequences: Token ids after the shared prefix.
        reads: All that the scores are summed from.
    """

    sequences: tuple[Tokens, ...]
    reads: tuple[Read, ...]

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """Positions, counted after the prefix, whose logits are needed in any sequence; ascending."""
        return tuple(sorted({read.position for read in self.reads}))

    @cached_property
    def answers(self) -> tuple[tuple[int, ...], ...]:
        """For each sequence the positions that are read, in the order of the reads."""
        found: list[dict[int, None]] = [{} for _ in self.sequences]
        for read in self.reads:
            found[read.sequence].setdefault(read.position)
        return tuple(map(tuple, found))

    @property
    def n_answers(self) -> int:
        """Most positions read of one sequence."""
        return max(map(len, self.answers))

    @cached_property
    def tokens(self) -> tuple[int, ...] | None:
        """Ids whose logits are enough: those of the labels, where each is one token; None for the whole vocabulary."""
        counted = Counter((read.query, read.label) for read in self.reads)
        tokens = {read.token for read in self.reads if read.token is not None}
        return tuple(sorted(tokens)) if tokens and max(counted.values()) == 1 else None

    @property
    def averages(self) -> bool:
        """Whether means of all logits are read."""
        return self.reads[0].token is None

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
    reads: list[Read] = []
    for number in numbers:
        query = prompts.queries[number]
        needed = prompts.sequences(query)
        for label in range(len(query.labels)):
            sequence = len(sequences) + (0 if len(needed) == 1 else label)
            reads += [
                Read(query=number, label=label, sequence=sequence, position=position, token=token, weight=weight)
                for position, token, weight in _needs(prompts, query, label)
            ]
        sequences += needed
    return Microbatch(sequences=tuple(sequences), reads=tuple(reads))


def _needs(prompts: Prompts, query: Query, label: int) -> Iterator[tuple[int, int | None, float]]:
    """Positions that a label is scored at, the token read there and how much it counts."""
    tokens = query.labels[label]
    if prompts.scoring is Scoring.MEAN_LOGIT:
        length = len(query.tokens) + len(tokens)
        yield from ((position, None, 1 / length) for position in range(length))
        return
    weight = 1 / len(tokens) if prompts.scoring is Scoring.MEAN_LOGLIKELIHOOD else 1.0
    yield from ((len(query.tokens) - 1 + offset, token, weight) for offset, token in enumerate(tokens))
