"""From a microbatch's logits to label scores: which positions and which rows of the head count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.decoder.decoder import Decoder
from clipsweep.trials.engine.microbatches import Microbatch, Read
from clipsweep.trials.prompts.prompts import Tokens

LOGITS_AT_ONCE = 2**26  # where every position's logits are averaged


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """Where the scores of a microbatch come from.

    Attributes:
        positions: Token of each sequence whose logits count, shape ``(sequences, n)``; rows are filled up by repeating.
        rows: For each reading, its row among the ``sequences * n`` answers.
        tokens: Ids whose logits are computed; None for the whole vocabulary.
        columns: For each reading, its column among those logits.
        weights: How much each reading counts, shape ``(readings,)``, float32.
        averages: Whether each reading is the mean of all logits instead.
        where: Query and label that each reading counts for.
    """

    positions: Tensor
    rows: Tensor
    tokens: Tensor | None
    columns: Tensor
    weights: Tensor
    averages: bool
    where: tuple[Tensor, Tensor]

    def add_to(self, scores: Tensor, logits: Tensor) -> None:
        """Add what a microbatch gives to the scores of all queries.

        Args:
            scores: Shape ``(queries, labels)``, float32.
            logits: Shape ``(sequences * n, tokens)``. Over the whole vocabulary they are normalised to
                log-probabilities; those of single-token labels are compared as they are, and so are means.
        """
        values = logits.float()
        if self.averages:
            values = values.mean(dim=-1, keepdim=True)
        elif self.tokens is None:
            values = values.log_softmax(dim=-1)
        scores.index_put_(self.where, values[self.rows, self.columns] * self.weights, accumulate=True)


def plan_readings(batch: Microbatch, device: torch.device) -> Readings:
    """Where a microbatch's log-probabilities are read from; labels of one token each need no whole vocabulary."""
    columns = _numbered(batch.tokens or ())
    answers = [_numbered(positions) for positions in batch.answers]

    def row(read: Read) -> int:
        return read.sequence * batch.n_answers + answers[read.sequence][read.position]

    def column(read: Read) -> int:
        if read.token is None:  # of a mean there is one column
            return 0
        return read.token if batch.tokens is None else columns[read.token]

    def indices(values: Sequence[object]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=device)

    return Readings(
        positions=indices([_filled_up(positions, batch.n_answers) for positions in batch.answers]),
        rows=indices(list(map(row, batch.reads))),
        tokens=None if batch.tokens is None else indices(batch.tokens),
        columns=indices(list(map(column, batch.reads))),
        weights=torch.tensor([read.weight for read in batch.reads], dtype=torch.float32, device=device),
        averages=batch.averages,
        where=(indices([read.query for read in batch.reads]), indices([read.label for read in batch.reads])),
    )


def answer_logits(decoder: Decoder, answers: Tensor, readings: Readings, vocabulary_size: int) -> Tensor:
    """Logits that are read from answers; their means at once where means are read, a few positions at a time.

    Args:
        decoder: Has the head.
        answers: What leaves the last block at the positions of ``readings``, shape ``(sequences, n, width)``.
        readings: What is read.
        vocabulary_size: How many logits a position has.

    Returns:
        As ``Readings.add_to`` takes them: shape ``(sequences * n, tokens)``, or one column of means.
    """
    hidden = answers.flatten(0, 1)
    if not readings.averages:
        return decoder.head(hidden, readings.tokens)
    positions = max(1, LOGITS_AT_ONCE // vocabulary_size)
    means = [decoder.head(part, None).float().mean(dim=-1, keepdim=True) for part in torch.split(hidden, positions)]
    return torch.cat(means)


def _numbered(values: Sequence[int]) -> dict[int, int]:
    """At which place each value stands."""
    return {value: number for number, value in enumerate(values)}


def _filled_up(positions: Sequence[int], count: int) -> list[int]:
    """So many positions: the last one again and again where there are fewer."""
    return [*positions, *[positions[-1]] * (count - len(positions))]


def pad(sequences: Sequence[Tokens], prefix: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Right-pad token sequences that follow a prefix.

    Returns:
        Ids, shape ``(sequences, tokens)``, and the mask over prefix and tokens, shape ``(sequences, prefix + tokens)``.
    """
    rows = [torch.tensor(sequence) for sequence in sequences]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([prefix + len(row) for row in rows])
    mask = torch.arange(prefix + ids.shape[1]) < lengths[:, None]
    return ids.to(device), mask.long().to(device)
