"""From a microbatch's logits to label scores: which positions and which rows of the head count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.engine.microbatches import Microbatch
from clipsweep.trials.prompts.layout import Numbers
from clipsweep.trials.prompts.prompts import Prompts, Tokens
from clipsweep.trials.scores.scoring import Scoring

LOGITS_AT_ONCE = 2**26  # of the whole vocabulary, over as many positions as that allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What is read from logits, for each reading.

    Attributes:
        values: Log-probabilities, means of logits, or the logits of single-token labels; float32.
        leads: How far the reading's token is ahead of the best other one, in logits; None where that is not read.
    """

    values: Tensor
    leads: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSheet:
    """Scores of all queries, which microbatches add to; of the shapes that ``LabelScores`` has, on the model's device.

    Attributes:
        sums: Of what was read for each label; minus infinity where a query has no such label.
        leads: The least of what was read; None where that is not read.
    """

    sums: Tensor
    leads: Tensor | None

    @classmethod
    def blank(cls, prompts: Prompts, device: torch.device) -> ScoreSheet:
        """Nothing is read yet."""
        counts = torch.tensor([len(query.labels) for query in prompts.queries])
        missing = torch.arange(prompts.most_labels) >= counts[:, None]
        nothing = torch.zeros(missing.shape)
        leads = torch.full_like(nothing, torch.inf).masked_fill(missing, -torch.inf).to(device)
        return cls(
            sums=nothing.masked_fill(missing, -torch.inf).to(device),
            leads=leads if prompts.scoring is Scoring.GREEDY else None,
        )

    def finished(self, prompts: Prompts) -> Tensor:
        """The score of every label, on the CPU: its sum, divided by its length where that is asked for."""
        return self.scores(self.sums.cpu(), prompts)

    @staticmethod
    def scores(sums: Tensor, prompts: Prompts) -> Tensor:
        """What sums of all queries score, of the same shape and on the same device; gradients go through it."""
        if prompts.scoring is not Scoring.LENGTH_NORMALISED:
            return sums
        lengths = torch.ones(sums.shape)
        for number, query in enumerate(prompts.queries):
            assert query.lengths is not None, "a sum is divided by the length of its label"
            lengths[number, : len(query.lengths)] = torch.tensor(query.lengths)
        return sums / lengths.to(sums.device)

    def leads_found(self) -> Tensor | None:
        """How far the least sure token of each label is ahead, on the CPU; None where that is not read."""
        return None if self.leads is None else self.leads.cpu()


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Where the scores of a microbatch come from: its readings, in the order of the answers that they are read from.

    Attributes:
        positions: Token of each row whose logits count, shape ``(rows, n)``, filled up by repeating the last.
        rows: For each reading, its row among the ``rows * n`` answers, ascending.
        known_rows: The same in host memory.
        tokens: Ids whose logits are computed; None for the whole vocabulary.
        columns: For each reading, its column among those logits.
        weights: How much each reading counts, shape ``(readings,)``, float32.
        averages: Whether each reading is the mean of all logits instead.
        leads: Whether it is read, too, how far each token is ahead.
        where: Query and label that each reading counts for.
    """

    positions: Tensor
    rows: Tensor
    known_rows: Numbers
    tokens: Tensor | None
    columns: Tensor
    weights: Tensor
    averages: bool
    leads: bool
    where: tuple[Tensor, Tensor]

    def at_once(self, logits: int) -> int:
        """Of how many things, with so many logits of the whole vocabulary each, logits are held at a time."""
        return self.positions.numel() if self.tokens is not None else max(1, LOGITS_AT_ONCE // logits)

    def read(self, logits_of: Callable[[slice], Tensor], step: int) -> Found:
        """Read what counts, from so many answers at a time.

        Args:
            logits_of: Gives the logits of some answers: ``(answers, tokens)``.
            step: How many are asked for together.
        """
        count = self.positions.numel()
        parts = [
            self._read(logits_of(slice(first, min(first + step, count))), first) for first in range(0, count, step)
        ]
        leads = [part.leads for part in parts if part.leads is not None]
        return Found(values=torch.cat([part.values for part in parts]), leads=torch.cat(leads) if leads else None)

    def add_to(self, sheet: ScoreSheet, found: Found) -> None:
        """Add what a microbatch gives to the scores of all queries."""
        sheet.sums.index_put_(self.where, found.values * self.weights, accumulate=True)
        if sheet.leads is not None and found.leads is not None:
            query, label = self.where
            place = query * sheet.leads.shape[1] + label
            sheet.leads.view(-1).scatter_reduce_(0, place, found.leads, "amin")

    def _read(self, logits: Tensor, first: int) -> Found:
        """What is read from the answers from this one on, as many as the logits are of."""
        begin, end = np.searchsorted(self.known_rows, (first, first + len(logits)))
        rows, columns, logits = self.rows[begin:end] - first, self.columns[begin:end], logits.float()
        if self.averages:
            return Found(values=logits.mean(dim=-1)[rows])
        if self.tokens is not None:
            return Found(values=logits[rows, columns])
        leads = _leads(logits, rows, columns) if self.leads else None
        return Found(values=logits.log_softmax(dim=-1)[rows, columns], leads=leads)


def _leads(logits: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
    """How far some tokens are ahead of the best other one in the same row."""
    best, second = logits.topk(2, dim=-1).values[rows].T
    own = logits[rows, tokens]
    return own - torch.where(own == best, second, best)


def plan_readings(batch: Microbatch, device: torch.device) -> Readings:
    """Where a microbatch's log-probabilities are read from; labels of one token each need no whole vocabulary."""
    (held_by, positions), place = batch.places
    among = np.arange(len(held_by)) - np.searchsorted(held_by, held_by)  # places of the same row before it
    last = np.searchsorted(held_by, np.arange(batch.n_rows), side="right") - 1
    answers = np.repeat(positions[last][:, None], batch.n_answers, axis=1)
    answers[held_by, among] = positions
    rows = (held_by * batch.n_answers + among)[place]
    order = np.argsort(rows, kind="stable")  # the readings of a label stay in their order
    columns = np.maximum(batch.reads.token, 0)
    if batch.tokens is not None:
        columns = np.searchsorted(batch.tokens, columns)

    def held(values: Numbers | Sequence[int]) -> Tensor:
        return torch.as_tensor(values, dtype=torch.long, device=device)

    return Readings(
        positions=held(answers),
        rows=held(rows[order]),
        known_rows=rows[order],
        tokens=None if batch.tokens is None else held(batch.tokens),
        columns=held(columns[order]),
        weights=torch.from_numpy(batch.reads.weight[order]).to(device),
        averages=batch.averages,
        leads=batch.leads,
        where=(held(batch.reads.query[order]), held(batch.reads.label[order])),
    )


def read_answers(decoder: Decoder, answers: Tensor, readings: Readings, vocabulary_size: int) -> Found:
    """Read what counts from what leaves the last block.

    Args:
        decoder: Has the head.
        answers: What leaves the last block at the positions of ``readings``, shape ``(rows, n, width)``.
        readings: What is read.
        vocabulary_size: How many logits a position has.
    """
    hidden = answers.flatten(0, 1)
    return readings.read(lambda some: decoder.head(hidden[some], readings.tokens), readings.at_once(vocabulary_size))


def pad(sequences: Sequence[Tokens], prefix: int, device: torch.device, spare: int = 0) -> tuple[Tensor, Tensor]:
    """Right-pad token sequences that follow a prefix, the longest by so many tokens too.

    Returns:
        Ids, shape ``(sequences, tokens)``, and the mask over prefix and tokens, shape ``(sequences, prefix + tokens)``.
    """
    rows = [torch.tensor(sequence) for sequence in sequences]
    ids = torch.nn.functional.pad(torch.nn.utils.rnn.pad_sequence(rows, batch_first=True), (0, spare))
    lengths = torch.tensor([prefix + len(row) for row in rows])
    mask = torch.arange(prefix + ids.shape[1]) < lengths[:, None]
    return ids.to(device), mask.long().to(device)
