"""The points of a study: each computed from its index, so that a space of any size costs one integer to hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple, TypeVar

from clipsweep.analysis.winners.winner import BEST_MEAN, Point
from clipsweep.orchestrator.space.layer_rule import LayerRule, Site, layer_rule
from clipsweep.orchestrator.study.schema import ALGORITHM1, Study
from clipsweep.trials.clips.identity import identify
from clipsweep.trials.clips.resolve import resolve
from clipsweep.trials.clips.spectrum import Conditions
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import ATTENTION_ROLES, MLP_ROLES, MODULES
from clipsweep.trials.spec.resolved import Fingerprint
from clipsweep.trials.spec.trial import PromptSet, TrialSpec

T = TypeVar("T")
Param = int | float | str | None


class Choice(NamedTuple):
    """What a driver decides, demonstration seeds taken together.

    Attributes:
        shots: Demonstrations in the prompt.
        clips: Ascending by layer and module, none of rate 0; empty for the untouched model.
    """

    shots: int
    clips: tuple[Clip, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial that a driver wants.

    Attributes:
        spec: What is evaluated.
        params: The driver's own parameters for it.
        rows: How many rows of the split, from its first; None for all.
    """

    spec: TrialSpec
    params: dict[str, Param]
    rows: int | None = None

    @property
    def choice(self) -> Choice:
        """What the trials of all demonstration seeds have in common."""
        return Choice(self.spec.shots, self.spec.clips)


class RateRange(NamedTuple):
    """Clip rates that are not listed: every fraction from ``low`` to ``high``."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Every combination of the study's axes, with one baseline for each shots and demonstration seed.

    Attributes:
        model: As the study names it.
        task: Name of the task.
        shots: Axis; so are the next four.
        demo_seeds: Seeds that draw demonstrations.
        layers: 0-based; where the condition numbers choose, all that they choose from.
        modules: Names of modules.
        clip_rates: Fractions; empty where they are a range.
        baseline_competes: Whether the untouched model can win; in Algorithm 1 only a clip rate can, of which 0 is one.
        rule: How the condition numbers choose layers; None where all ``layers`` are clipped.
        chosen: Layer and module of each clip, where a rule chooses.
        metric: Column of scores that points are judged by.
        winner: How the winner is picked: ``Point.rule``.
        settled: Whether ``chosen`` is the rule's choice; before that it is a stand-in, right in number only.
        rate_range: Where the rates are not listed. Such a space cannot be enumerated.
        max_clips: How many clips a trial may have. Enumerated by index are trials of one clip.
    """

    model: str
    task: str
    shots: tuple[int, ...]
    demo_seeds: tuple[int, ...]
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    clip_rates: tuple[float, ...]
    baseline_competes: bool = True
    rule: LayerRule | None = None
    chosen: tuple[Site, ...] | None = None
    metric: str = "accuracy"
    winner: str = BEST_MEAN
    settled: bool = True
    rate_range: RateRange | None = None
    max_clips: int = 1
    _visited_sites: tuple[Site, ...] = field(init=False, repr=False, compare=False)
    _visited_rates: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put sites and rates into the order in which they are visited."""
        by_cost = sorted(self.sites(), key=lambda site: (-site[0], _parts_to_run(site[1])))
        object.__setattr__(self, "_visited_sites", tuple(by_cost))
        object.__setattr__(self, "_visited_rates", coarse_to_fine(sorted(self.clip_rates, reverse=True)))

    @classmethod
    def of(cls, study: Study, card: ModelCard) -> Space:
        """Resolve a study's axes for one model; repeated values count once. Layers chosen by a rule are not settled.

        Raises:
            SpecError: A layer or module that the model does not have.
            StudyError: Fewer layers than are to be chosen.
        """
        space, rule = study.space, layer_rule(study, card)
        assert space.shots is not None, "prepare() resolves it"
        assert study.task.seed is not None, "prepare() resolves it"
        layers = map(card.layer_index, space.layers) if isinstance(space.layers, list) else range(card.n_layers)
        for module in space.modules:
            card.roles(module)
        listed = space.clip_rates if isinstance(space.clip_rates, list) else []
        return cls(
            model=study.model.path,
            task=study.task.name,
            shots=_unique(space.shots),
            demo_seeds=_unique(space.demo_seeds or [study.task.seed]),  # the release's seed fixes its demonstrations
            layers=tuple(sorted(set(layers))),
            modules=_unique(space.modules),
            clip_rates=_unique(map(float, listed)),
            baseline_competes=study.search.driver != ALGORITHM1,
            rule=rule,
            chosen=rule.stand_in() if rule else None,
            metric=study.task.definition.metric if study.task.definition else "accuracy",
            winner=study.search.winner,
            settled=rule is None,
            rate_range=None
            if isinstance(space.clip_rates, list)
            else RateRange(space.clip_rates.low, space.clip_rates.high),
            max_clips=space.clips.max,
        )

    def settle(self, conditions: Conditions) -> Space:
        """The same space with the layers that the condition numbers choose; unchanged until all have been measured."""
        if self.rule is None or self.rule.missing(conditions):
            return self
        return replace(self, chosen=self.rule.choose(conditions), settled=True)

    def __len__(self) -> int:
        """Points in all, one for each demonstration seed."""
        return len(self.shots) * len(self.demo_seeds) * (1 + self.n_clips)

    @property
    def n_points(self) -> int:
        """Points that can win, demonstration seeds taken together."""
        return len(self.shots) * (self.baseline_competes + self.n_clips)

    @property
    def n_clips(self) -> int:
        """Clips that points of one prompt set have: a rate at a layer and module."""
        return self.n_sites * len(self.clip_rates)

    @property
    def n_sites(self) -> int:
        """Layers and modules that are clipped together, counted."""
        return len(self.layers) * len(self.modules) if self.chosen is None else len(self.chosen)

    def sites(self) -> list[Site]:
        """Layer and module of each clip: layers ascending, and each layer's modules as the study lists them."""
        if self.chosen is not None:
            return list(self.chosen)
        return [(layer, module) for layer in self.layers for module in self.modules]

    def proposal(self, index: int) -> Proposal:
        """The point of an index.

        Prompt sets follow each other, shots by shots, and of each all seeds. In each the untouched model comes first,
        in whose pass activations are captured, then its clips as ``visited_clip`` orders them.
        """
        prompt_set, number = divmod(index, 1 + self.n_clips)
        shots, seed = divmod(prompt_set, len(self.demo_seeds))
        clips = (self.visited_clip(number - 1),) if number else ()
        return self.propose(self.shots[shots], self.demo_seeds[seed], clips)

    def visited_clip(self, number: int) -> Clip:
        """The clip of a number, cheap and telling ones first.

        Sites go from the last layer to the first, so that trials that start at the same place, and share what was
        captured there, run together: of a layer those that change its MLP alone, then its attention, then both. Of
        each site the largest rate comes first, then the smallest, then those that halve the gaps.
        """
        site, rate = divmod(number, len(self.clip_rates))
        layer, module = self._visited_sites[site]
        return Clip(layer=layer, module=module, clip_rate=self._visited_rates[rate])

    def points(
        self,
        card: ModelCard,
        task_fingerprint: str,
        *,
        tested: bool,
        choices: Sequence[Choice] | None = None,
        stored: Container[str] | None = None,
    ) -> list[Point]:
        """Points that can win, with the identities of their trials, demonstration seeds taken together.

        Points whose layers are not settled are left out.

        Args:
            card: The model.
            task_fingerprint: The task's.
            tested: Whether the task has a test split.
            choices: Which points, besides the untouched model; None for all of the enumeration.
            stored: Leave out points none of whose validation trials are in it; None to leave out nothing.
        """

        @lru_cache(maxsize=64)  # neighbours on the axis of rates often leave the same ranks
        def ids_of(shots: int, clips: Fingerprint, split: str) -> tuple[str, ...]:
            sets = (PromptSet(shots=shots, demo_seed=seed, split=split) for seed in self.demo_seeds)
            return _unique(identify(each, clips, card, task_fingerprint) for each in sets)  # at 0 shots all are one

        def point(choice: Choice, clips: Fingerprint, trial_ids: tuple[str, ...]) -> Point:
            return Point(
                clips=choice.clips,
                shots=choice.shots,
                trial_ids=trial_ids,
                baseline_ids=ids_of(choice.shots, (), "validation"),
                test_ids=ids_of(choice.shots, clips, "test") if tested else (),
                baseline_test_ids=ids_of(choice.shots, (), "test") if tested else (),
                metric=self.metric,
                rule=self.winner,
            )

        found = []
        for choice in self._competing(choices):
            clips = resolve(choice.clips, card).fingerprint
            trial_ids = ids_of(choice.shots, clips, "validation")
            if stored is None or any(each in stored for each in trial_ids):
                found.append(point(choice, clips, trial_ids))
        return found

    def _competing(self, choices: Sequence[Choice] | None) -> Iterator[Choice]:
        """The choices, or all of the enumeration, with the untouched models where they can win."""
        untouched: list[tuple[Clip, ...]] = [()] if self.baseline_competes else []
        if choices is not None:
            yield from (Choice(shots, clips) for shots in self.shots for clips in untouched)
            yield from choices
            return
        for shots in self.shots:
            yield from (Choice(shots, clips) for clips in untouched)
            if self.settled:
                yield from (
                    Choice(shots, (Clip(layer=layer, module=module, clip_rate=rate),))
                    for layer, module in self.sites()
                    for rate in self.clip_rates
                )

    def test_proposals(self, point: Point) -> list[Proposal]:
        """The trials that measure ``point`` and its baseline on the test split."""
        return [self.propose(point.shots, seed, each, "test") for each in ((), point.clips) for seed in self.demo_seeds]

    def starts(self) -> list[Clip]:
        """A clip for each layer and module: where trials start to differ from the untouched model."""
        rate = self.rate_range.high if self.rate_range else max(self.clip_rates)
        return [Clip(layer=layer, module=module, clip_rate=rate) for layer, module in self.sites()]

    def proposals_of(self, choice: Choice) -> list[Proposal]:
        """Its validation trial for each demonstration seed."""
        return [self.propose(choice.shots, seed, choice.clips) for seed in self.demo_seeds]

    def propose(
        self, shots: int, demo_seed: int, clips: tuple[Clip, ...], split: str = "validation", **params: Param
    ) -> Proposal:
        """A trial of this study, with the driver's own parameters, or those of its one clip."""
        spec = TrialSpec(model=self.model, task=self.task, shots=shots, demo_seed=demo_seed, split=split, clips=clips)
        if len(clips) == 1 and not params:
            params = {"layer": clips[0].layer, "module": clips[0].module, "clip_rate": clips[0].clip_rate}
        return Proposal(spec=spec, params={"shots": shots, "demo_seed": demo_seed, **params})


def coarse_to_fine(values: Sequence[float]) -> tuple[float, ...]:
    """The values so ordered that the first few are spread over all: both ends, then the middle of each widest gap."""
    if len(values) < 3:
        return tuple(values)
    order, gaps = [0, len(values) - 1], deque([(0, len(values) - 1)])
    while gaps:
        first, last = gaps.popleft()
        middle = (first + last) // 2
        if middle > first:
            order.append(middle)
            gaps += [(first, middle), (middle, last)]
    return tuple(values[number] for number in order)


def _parts_to_run(module: str) -> int:
    """Ranks modules by what a trial runs of the block that it starts in: the MLP alone is least, and both are most."""
    parts = ((1, MLP_ROLES), (2, ATTENTION_ROLES))
    return sum(weight for weight, roles in parts if {*MODULES[module]} & {*roles})


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
