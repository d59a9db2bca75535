"""From a study file to its space, at once or when what is measured first has chosen the layers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product, starmap
from typing import TypeVar

from clipsweep.analysis.winners.point import BEST_MEAN, FEWEST_OF_EQUALS
from clipsweep.orchestrator.space.layer_rule import (
    ConditionRule,
    candidate_layers,
    condition_rule,
    kept_of_each,
    sites_of,
)
from clipsweep.orchestrator.space.screen_rule import ScreenRule
from clipsweep.orchestrator.space.screening import screen_requests
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Member, RateRange, Space
from clipsweep.orchestrator.study.kind_section import read_kind
from clipsweep.orchestrator.study.names import ALGORITHM1, COMPOSE
from clipsweep.orchestrator.study.schema import ChosenLayers, Study, settings_of
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.tasks.load import metric_of

T = TypeVar("T")
Rule = ConditionRule | ScreenRule


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingSpace:
    """A space whose layers have yet to be chosen.

    Attributes:
        rule: How they are chosen.
        stand_in: As many points at middling layers: what is planned with until the layers are known.
    """

    rule: Rule
    stand_in: Space


def make_space(study: Study, card: ModelCard) -> Space | PendingSpace:
    """Resolve a study's axes for one model; repeated values count once.

    Raises:
        SpecError: A layer or module that the model does not have.
        StudyError: Fewer layers than are to be chosen, or a range that ends before it begins.
    """
    chosen = study.space.screened_layers
    rule = condition_rule(study, card) if chosen is None else _screen_rule(study, card, chosen)
    if rule is None:
        return _lay_out(study, _listed_sites(study, card))
    return PendingSpace(rule=rule, stand_in=_lay_out(study, rule.stand_in()))


def _screen_rule(study: Study, card: ModelCard, chosen: ChosenLayers) -> ScreenRule:
    """The rule by which a screen chooses layers, with all that it has to see before."""
    assert study.search.screen is not None, "prepare() resolves it"
    candidates = candidate_layers(study, card)
    every = _lay_out(study, sites_of(candidates))
    share, count = chosen.top_screen, chosen.top_gradient
    if share is not None:
        counts = {module: _rounded_up(share * len(layers)) for module, layers in candidates.items()}
        words = f"{share:g} of the layers, those with the largest predicted gain"
    else:
        assert count is not None, "the schema has one of the two"
        counts = kept_of_each(candidates, "space.layers.top_gradient", count)
        words = f"the {count} layers with the largest predicted change of the margin"
    return ScreenRule(
        candidates=candidates,
        counts=counts,
        requests=tuple(screen_requests(every, study.search.screen.rows)),
        by_gain=share is not None,
        words=words,
    )


def _rounded_up(count: float) -> int:
    """The next whole number, at least 1; what is above one by rounding errors alone is that one."""
    return max(1, math.ceil(round(count, 9)))


def _listed_sites(study: Study, card: ModelCard) -> tuple[Site, ...]:
    """Every listed layer, and range of layers, with every module."""
    listed = study.space.layers
    layers = [_layers_of(each, card) for each in (listed if isinstance(listed, list) else range(card.n_layers))]
    for module in study.space.modules:
        card.roles(module)  # refuses one that the model does not have
    return tuple(starmap(Site, product(sorted(set(layers)), _unique(study.space.modules))))


def _layers_of(listed: int | list[int], card: ModelCard) -> tuple[int, ...]:
    """The layers that an entry of ``space.layers`` names: one, or all from the first of a pair to its last."""
    if isinstance(listed, int):
        return (card.layer_index(listed),)
    first, last = map(card.layer_index, listed)
    if last < first:
        raise StudyError(
            f"study key 'space.layers' has the range {listed}, which is layers {first} to {last} of this model's "
            f"{card.n_layers}; expected the first layer before the last. Write [{listed[1]}, {listed[0]}]."
        )
    return tuple(range(first, last + 1))


def _lay_out(study: Study, sites: tuple[Site, ...]) -> Space:
    """The space of these sites."""
    axes = study.space
    assert axes.shots is not None, "prepare() resolves it"
    seed, members = study.task.members[0].seed, _members(study)
    assert seed is not None, "prepare() resolves it"
    rates, search = axes.clip_rates, study.search
    composed = search.driver == COMPOSE
    return Space(
        model=study.model.path,
        task=study.task.members[0].name,
        shots=_unique(axes.shots),
        demo_seeds=_unique(axes.demo_seeds or [seed]),  # the release's seed fixes its demonstrations
        sites=sites,
        kinds=_unique(map(read_kind, axes.kinds)),
        clip_rates=_unique(map(float, rates)) if isinstance(rates, list) else (),
        modules=_unique(axes.modules),
        baseline_competes=search.driver != ALGORITHM1,
        metric=_metric(study, members),
        winner=FEWEST_OF_EQUALS if len(search.objectives) > 1 and search.winner == BEST_MEAN else search.winner,
        rate_range=None if isinstance(rates, list) else RateRange(rates.low, rates.high),
        max_clips=(search.max_clips or len(sites)) if composed else axes.clips.max,
        min_gain=search.min_gain if composed else None,
        members=members,
    )


def _members(study: Study) -> tuple[Member, ...]:
    """The tasks in the study's score, where there are several; else none."""
    total = sum(task.weight for task in study.task.weighted or [])
    guards = {guard.task: guard.lose_at_most for guard in study.search.guard}
    return tuple(
        Member(
            name=task.name,
            share=task.weight / total,
            metric=metric_of(settings_of(task)),
            shots=task.shots,
            lose_at_most=guards.get(task.name),
        )
        for task in study.task.weighted or []
    )


def _metric(study: Study, members: Sequence[Member]) -> str:
    """What points are judged by: of several tasks that of those that count, which is one."""
    counting = [member.metric for member in members if member.share]
    return counting[0] if counting else metric_of(study.task_settings())


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
