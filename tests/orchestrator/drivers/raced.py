"""Races to try out: points whose outcomes are made up, and drivers of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.race.make_race import make_race
from clipsweep.orchestrator.drivers.racing_driver import RacingDriver
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.trial import TrialSpec
from tests.analysis.store.rows import columns_of

N_ROWS = 640  # rungs 20, 40, 80, 160, 320, 640


def propose(number: int | None, seed: int = 0, shots: int = 2) -> Proposal:
    """A point by its number; None for the untouched model."""
    clips = () if number is None else (Clip(layer=number, module="mlp", clip_rate=0.5),)
    spec = TrialSpec(model="m", task="t", shots=shots, demo_seed=seed, split="validation", clips=clips)
    return Proposal(spec=spec)


def answer(
    proposal: Proposal,
    outcomes: Sequence[bool],
    *,
    state: str | None = None,
    margins: Sequence[float] | None = None,
    trial_id: str | None = None,
) -> StoredRow:
    """The row of a proposal's first rows."""
    seen = outcomes[: proposal.rows]
    told: Record = {
        "trial_id": trial_id or repr(proposal.spec),
        "state": state or ("complete" if len(seen) == len(outcomes) else "partial"),
        "seconds": 36.0,
    }
    return StoredRow.of(told | columns_of(seen, margins))


def drive(driver: Driver, outcomes: Mapping[Any, Sequence[bool]], calls: int = 4) -> dict[int | None, int]:
    """Run a driver to its end with so many proposals at once; rows that each point has seen, in all its seeds."""
    seen: dict[int | None, int] = {}
    while not driver.done:
        asked = driver.ask(calls)
        assert asked or driver.done, "a driver for which nothing runs asks, or is done"
        for proposal in asked:
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            row = answer(proposal, outcomes[number, proposal.spec.demo_seed])
            seen[number] = max(seen.get(number, 0), row.n_examples)
            driver.tell(proposal, row)
    return seen


def rates(*means: float, n_rows: int = N_ROWS, seed: int = 0) -> dict[Any, Sequence[bool]]:
    """Outcomes of points with these chances of being right; the first is the untouched model's."""
    rng = np.random.default_rng(seed)
    points = [None, *range(len(means) - 1)]
    shared = rng.random(n_rows)
    return {(point, 0): list(map(bool, shared < mean)) for point, mean in zip(points, means, strict=True)}


class Learner(FixedDriver):
    """A fixed list in the guise of a driver that learns; keeps what it was told."""

    adaptive = True

    def __init__(self, proposals: Sequence[Proposal]) -> None:
        super().__init__(proposals)
        self.told: list[tuple[Proposal, StoredRow]] = []
        self.begun: set[Choice] = set()

    def ask(self, count: int) -> list[Proposal]:
        asked = super().ask(count)
        self.begun |= {proposal.choice for proposal in asked}
        return asked

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        self.told.append((proposal, row))

    @property
    def owing(self) -> bool:
        return bool(self._left) and self._left[0].choice in self.begun


def raced(
    driver: Driver,
    race: str = "halving",
    n_seeds: int = 1,
    n_rows: int = N_ROWS,
    **search: Any,
) -> Driver:
    rule = make_race(SearchSection(race=race, **search), waits=not driver.adaptive, rungs=make_rungs(n_rows))
    assert rule is not None
    return RacingDriver(driver, rule, make_rungs(n_rows), n_seeds)


def points(count: int) -> list[Proposal]:
    return [propose(None), *map(propose, range(count))]
