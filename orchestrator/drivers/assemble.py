"""A study's search put together: its driver, under its stopping rules, in its race."""

from __future__ import annotations

from collections.abc import Iterable

from clipsweep.analysis.winners.smoothing import have_margins
from clipsweep.orchestrator.drivers.build import make_driver
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.race.make_race import make_race
from clipsweep.orchestrator.drivers.racing_driver import RacingDriver
from clipsweep.orchestrator.drivers.stopping import Earlier, StoppingDriver
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.trial import VALIDATION


def assemble_search(opened: OpenStudy, ledger: Ledger) -> tuple[Driver, StoppingDriver]:
    """The driver to run, and the part of it that tells which rule stopped it."""
    study, space = opened.study, opened.space
    driver = make_driver(opened, ledger.rows)
    begun = opened.visited(ledger.rows) if driver.adaptive else []
    stopping = StoppingDriver(
        driver,
        study.search,
        n_seeds=len(space.demo_seeds),
        metric=space.metric,
        gpus=study.cluster.gpus_per_replica,
        earlier=Earlier(rows=ledger.rows, begun=begun),
    )
    rungs = make_rungs(opened.subject.split_sizes[VALIDATION])
    race = make_race(study.search, waits=not driver.adaptive, rungs=rungs)
    if race is None:
        return stopping, stopping
    racing = RacingDriver(
        stopping,
        race,
        rungs,
        len(space.demo_seeds),
        begun=_proposals_scored(space, begun, ledger),
        smoothed=have_margins(row for row in ledger.rows.values() if row.has_scores),
    )
    return racing, stopping


def _proposals_scored(space: Space, begun: Iterable[Choice], ledger: Ledger) -> list[Proposal]:
    """Proposals of earlier runs whose points have scores for all seeds."""
    found: list[Proposal] = []
    for choice in begun:
        proposals = space.proposals_of(choice)
        rows = [ledger.rows.get(ledger.trial(proposal).trial_id) for proposal in proposals]
        if choice.clips and all(row is not None and row.has_scores for row in rows):
            found += proposals
    return found
