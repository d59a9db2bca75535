"""Races over texts to try out: points whose windows' likelihoods are made up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clipsweep.analysis.row.packing import pack_loglikelihoods, pack_tokens
from clipsweep.analysis.row.row import StoredRow
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.space.proposal import Proposal
from tests.orchestrator.drivers.raced import N_ROWS

TOKENS = np.array([30 + 10 * (number % 4) for number in range(N_ROWS)])
Nats = Sequence[float]  # of a token, by window


def hard_and_easy(mean: float) -> list[float]:
    """Windows that are now hard, now easy, for any model."""
    return [mean + np.sin(number) for number in range(N_ROWS)]


def text_answer(proposal: Proposal, nats: Nats, *, trial_id: str | None = None) -> StoredRow:
    """The row of a proposal's first windows."""
    count = proposal.rows or len(nats)
    values, tokens = -np.array(nats[:count]) * TOKENS[:count], TOKENS[:count]
    return StoredRow.of(
        {
            "trial_id": trial_id or repr(proposal.spec),
            "state": "complete" if count == len(nats) else "partial",
            "seconds": 36.0,
            "n_examples": count,
            "outcomes": b"",
            "nll": float(-values.sum() / tokens.sum()),
            "loglikelihoods": pack_loglikelihoods(values.tolist()),
            "tokens": pack_tokens(tokens.tolist()),
        }
    )


def drive_texts(driver: Driver, nats: Mapping[int | None, Nats], calls: int = 4) -> dict[int | None, int]:
    """Run a driver to its end with so many proposals at once; windows that each point has seen."""
    seen: dict[int | None, int] = {}
    while not driver.done:
        for proposal in driver.ask(calls):
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            row = text_answer(proposal, nats[number])
            seen[number] = max(seen.get(number, 0), row.n_examples)
            driver.tell(proposal, row)
    return seen
