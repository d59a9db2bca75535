"""A study's search put together: its driver, under its stopping rules, in its race."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from clipsweep.analysis.winners.smoothing import have_margins
from clipsweep.orchestrator.drivers.build import make_driver
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.race.make_race import make_race
from clipsweep.orchestrator.drivers.race.neighbourhood import Cost
from clipsweep.orchestrator.drivers.race.neighbours import make_neighbours
from clipsweep.orchestrator.drivers.racing_driver import RacingDriver
from clipsweep.orchestrator.drivers.stopping import Earlier, StoppingDriver
from clipsweep.orchestrator.folder.ledger import Ledger
from clipsweep.orchestrator.folder.open_study import OpenStudy
from clipsweep.orchestrator.space.candidates import Candidates, Predict
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.study.names import BAYES, NEIGHBOURS
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.resolved import ResolvedClips
from clipsweep.trials.spec.trial import VALIDATION, PromptSet, TrialSpec

Work = Callable[[TrialSpec, ResolvedClips], float]


def assemble_search(opened: OpenStudy, ledger: Ledger, work: Work) -> Driver:
    """The driver to run.

    Args:
        opened: The study, its layers known.
        ledger: Its rows.
        work: What a trial costs next to others of the study.
    """
    study, space = opened.study, opened.space
    driver = make_driver(opened, ledger.rows)
    begun = opened.visited(ledger.rows) if driver.adaptive else []
    stopping = StoppingDriver(
        driver,
        study.search,
        n_seeds=len(space.demo_seeds),
        metric=space.metric,
        shares={member.name: member.share for member in space.members},
        gpus=study.cluster.gpus_per_replica,
        earlier=Earlier(rows=ledger.rows, begun=begun),
    )
    rungs = make_rungs(opened.subject.first.split_sizes[VALIDATION])
    race = make_race(study.search, waits=not driver.adaptive, rungs=rungs)
    if study.search.driver == BAYES or study.search.race == NEIGHBOURS:  # no other search picks points by predictions
        candidates = Candidates(space, random.Random(study.search.seed), _predict_by(opened))
    if study.search.driver == BAYES:
        driver.openers = candidates.openers()
    if study.search.race == NEIGHBOURS:
        told = sum(row.has_scores for row in ledger.rows.values())
        race = neighbours = make_neighbours(candidates, study.search, rungs, _cost_of(opened, work), told)
        driver.chooser = neighbours.choose if neighbours.begins else None
    if race is None:
        return stopping
    return RacingDriver(
        stopping,
        race,
        rungs,
        len(space.demo_seeds),
        begun=_proposals_scored(space, begun, ledger),
        smoothed=have_margins(row for row in ledger.rows.values() if row.has_scores),
    )


def _cost_of(opened: OpenStudy, work: Work) -> Cost:
    """What a choice costs, whatever its demonstrations say."""

    def cost(choice: Choice) -> float:
        return work(opened.space.proposals_of(choice)[0].spec, resolve(choice.clips, opened.subject.card))

    return cost


def _predict_by(opened: OpenStudy) -> Predict | None:
    """What the study's screen expects of a choice, as a mean over its demonstrations; None where it has no screen."""
    if opened.study.search.screen is None:
        return None
    screens, seeds = opened.screen.screens(), opened.space.demo_seeds

    def predict(choice: Choice) -> float | None:
        prompt_sets = [PromptSet(shots=choice.shots, demo_seed=seed, split=VALIDATION) for seed in seeds]
        found = screens.predict_mean(prompt_sets, choice.clips)
        return None if found is None else found.gain

    return predict


def _proposals_scored(space: Space, begun: Iterable[Choice], ledger: Ledger) -> list[Proposal]:
    """Proposals of earlier runs whose points have scores for all seeds."""
    found: list[Proposal] = []
    for choice in begun:
        proposals = space.proposals_of(choice)
        rows = [ledger.rows.get(ledger.trial(proposal).trial_id) for proposal in proposals]
        if choice.clips and all(row is not None and row.has_scores for row in rows):
            found += proposals
    return found
