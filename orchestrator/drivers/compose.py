"""A study's search put together: its driver, under its stopping rules, in its race."""

from __future__ import annotations

from clipsweep.analysis.winners.smoothing import have_margins
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.racing import RacingDriver
from clipsweep.orchestrator.drivers.stopping import StoppingDriver
from clipsweep.orchestrator.drivers.table import make_driver
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.choices import choices_of_rows
from clipsweep.orchestrator.space.proposal import Proposal


def compose_search(opened: OpenStudy, ledger: Ledger) -> tuple[Driver, StoppingDriver]:
    """The driver to run, and the part of it that tells which rule stopped it."""
    study, space = opened.study, opened.space
    driver = make_driver(opened, ledger.rows)
    begun = choices_of_rows(space, ledger.rows.values()) if driver.adaptive else []
    stopping = StoppingDriver(
        driver,
        study.search,
        n_seeds=len(space.demo_seeds),
        metric=space.metric,
        gpus=study.cluster.gpus_per_replica,
        rows=ledger.rows,
        begun=begun,
    )

    def scored(proposal: Proposal) -> bool:
        row = ledger.rows.get(ledger.trial(proposal).trial_id)
        return row is not None and row.has_scores

    points = [space.proposals_of(choice) for choice in begun if choice.clips]
    racing = RacingDriver.over(
        stopping,
        study.search,
        n_rows=opened.subject.split_sizes["validation"],
        n_seeds=len(space.demo_seeds),
        limit=study.search.n_trials or (None if driver.adaptive else len(space) // len(space.demo_seeds)),
        smoothed=have_margins(row for row in ledger.rows.values() if row.has_scores),
        begun=[each for point in points if all(map(scored, point)) for each in point],
    )
    return racing, stopping
