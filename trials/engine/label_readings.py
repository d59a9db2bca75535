"""From a microbatch's logits to label scores: which positions and which rows of the head count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from clipsweep.trials.engine.microbatches import Microbatch
from clipsweep.trials.tasks.prompts import Tokens


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
    positions = [each + each[-1:] * (batch.n_answers - len(each)) for each in batch.answers]
    column = {token: number for number, token in enumerate(batch.tokens or ())}
    columns = [0 if read.token is None else column.get(read.token, read.token) for read in batch.reads]
    place = [{position: number for number, position in enumerate(each)} for each in batch.answers]
    rows = [read.sequence * batch.n_answers + place[read.sequence][read.position] for read in batch.reads]

    def indices(values: Sequence[object]) -> Tensor:
        return torch.tensor(values, dtype=torch.long, device=device)

    return Readings(
        positions=indices(positions),
        rows=indices(rows),
        tokens=None if batch.tokens is None else indices(batch.tokens),
        columns=indices(columns),
        weights=torch.tensor([read.weight for read in batch.reads], dtype=torch.float32, device=device),
        averages=batch.averages,
        where=(indices([read.query for read in batch.reads]), indices([read.label for read in batch.reads])),
    )


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
