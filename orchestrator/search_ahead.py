"""What a study has before it: its enumeration, or random points in the place of those that a search will choose."""

from __future__ import annotations

import random
from collections.abc import Iterator

from orchestrator.choices import choices_of_rows, draw
from orchestrator.ledger import Ledger
from orchestrator.prepare import OpenStudy
from orchestrator.space import Choice, Proposal, Space
from orchestrator.study import BAYES, Study

DRAWS_PER_POINT = 4


def is_searched(study: Study) -> bool:
    """Whether a sampler chooses the points, so that they cannot be enumerated beforehand."""
    return study.search.driver == BAYES


def proposals_ahead(opened: OpenStudy, ledger: Ledger) -> Iterator[Proposal]:
    """Every proposal of the study; of a search those that are stored, and random ones for what it has left to choose.

    Where ``search.n_trials`` does not say how many those are, one for each shots stands for them.
    """
    space, search = opened.space, opened.study.search
    if not is_searched(opened.study):
        return space.proposals() if search.n_trials is None else _first_points(space, search.n_trials)
    begun = [choice for choice in choices_of_rows(space, ledger.rows.values()) if choice.clips]
    left = len(space.shots) if search.n_trials is None else max(0, search.n_trials - len(begun))

    def identity(choice: Choice) -> str:
        return ledger.trial(space.propose(choice.shots, space.demo_seeds[0], choice.clips)).trial_id

    chosen = {identity(choice): choice for choice in begun}
    rng, most = random.Random(0), len(chosen) + left
    for _ in range(DRAWS_PER_POINT * left):
        if len(chosen) < most:
            choice = draw(space, rng)
            chosen.setdefault(identity(choice), choice)
    untouched = [Choice(shots, ()) for shots in space.shots]
    return (
        space.propose(shots, seed, clips)
        for shots, clips in (*untouched, *chosen.values())
        for seed in space.demo_seeds
    )


def _first_points(space: Space, count: int) -> Iterator[Proposal]:
    """The enumeration, with so many points that clip something and no more."""
    begun: set[Choice] = set()
    for proposal in space.proposals():
        if proposal.spec.clips and len(begun) < count:
            begun.add(proposal.choice)
        if not proposal.spec.clips or proposal.choice in begun:
            yield proposal


def search_notes(study: Study) -> list[str]:
    """How far a plan of a search can be trusted."""
    if not is_searched(study):
        return []
    if study.search.n_trials is None:
        return ["search.n_trials is not set: how many trials will run is not known, and one for each shots is counted"]
    return ["which points will run is not known: costs are those of random ones"]
