"""The points of a study: each computed from its index, so that a space of any size costs one integer to hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple, TypeVar

from analysis.winners import BEST_MEAN, Point
from orchestrator.layers import LayerRule, Site, layer_rule
from orchestrator.study import ALGORITHM1, Study
from trials.model_card import ModelCard, trial_id
from trials.spectrum import Conditions
from trials.values import Clip, TrialSpec

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
    """Every combination of the study's axes, after one baseline for each shots and demonstration seed.

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
            layers=tuple(sorted(set(layers))),  # the first cost most, and each starts from what the last captured
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

    @property
    def n_baselines(self) -> int:
        """Baseline points, which come first."""
        return len(self.shots) * len(self.demo_seeds)

    def __len__(self) -> int:
        """Points in all."""
        return self.n_baselines * (1 + self.n_sites * len(self.clip_rates))

    @property
    def n_sites(self) -> int:
        """Layers and modules that are clipped together, counted."""
        return len(self.layers) * len(self.modules) if self.chosen is None else len(self.chosen)

    def site(self, number: int) -> Site:
        """Layer and module of a number: layers in order, and each layer's modules."""
        if self.chosen is not None:
            return self.chosen[number]
        layer, module = divmod(number, len(self.modules))
        return self.layers[layer], self.modules[module]

    def sites(self) -> list[Site]:
        """Layer and module of each clip."""
        return [self.site(number) for number in range(self.n_sites)]

    def proposals(self) -> Iterator[Proposal]:
        """Every point, computed one at a time."""
        return (self.proposal(index) for index in range(len(self)))

    def proposal(self, index: int) -> Proposal:
        """The point of an index: baselines first, then shots, seed, layer, module and, fastest, clip rate."""
        if index < self.n_baselines:
            shots, seed = divmod(index, len(self.demo_seeds))
            return self.propose(self.shots[shots], self.demo_seeds[seed], ())
        rest, rate = divmod(index - self.n_baselines, len(self.clip_rates))
        rest, number = divmod(rest, self.n_sites)
        shots, seed = divmod(rest, len(self.demo_seeds))
        layer, module = self.site(number)
        clip = Clip(layer=layer, module=module, clip_rate=self.clip_rates[rate])
        return self.propose(self.shots[shots], self.demo_seeds[seed], (clip,))

    def points(
        self, card: ModelCard, task_fingerprint: str, *, tested: bool, choices: Sequence[Choice] | None = None
    ) -> list[Point]:
        """Points that can win, with the identities of their trials, demonstration seeds taken together.

        Points whose layers are not settled are left out.

        Args:
            card: The model.
            task_fingerprint: The task's.
            tested: Whether the task has a test split.
            choices: Which points, besides the untouched model; None for all of the enumeration.
        """

        @lru_cache(maxsize=64)  # for baselines, which many points share
        def ids(shots: int, clips: tuple[Clip, ...], split: str) -> tuple[str, ...]:
            specs = (self.propose(shots, seed, clips, split).spec for seed in self.demo_seeds)
            return _unique(trial_id(spec, card, task_fingerprint) for spec in specs)  # at 0 shots all seeds are one

        def point(shots: int, clips: tuple[Clip, ...]) -> Point:
            return Point(
                clips=clips,
                shots=shots,
                trial_ids=ids(shots, clips, "validation"),
                baseline_ids=ids(shots, (), "validation"),
                test_ids=ids(shots, clips, "test") if tested else (),
                baseline_test_ids=ids(shots, (), "test") if tested else (),
                metric=self.metric,
                rule=self.winner,
            )

        untouched: list[tuple[Clip, ...]] = [()] if self.baseline_competes else []
        if choices is not None:
            return [
                point(*each) for each in (*((shots, clips) for shots in self.shots for clips in untouched), *choices)
            ]
        clipped = [(clip,) for clip in self._clips()] if self.settled else []
        return [point(shots, clips) for shots in self.shots for clips in (*untouched, *clipped)]

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

    def _clips(self) -> list[Clip]:
        return [
            Clip(layer=layer, module=module, clip_rate=rate)
            for layer, module in self.sites()
            for rate in self.clip_rates
        ]

    def propose(
        self, shots: int, demo_seed: int, clips: tuple[Clip, ...], split: str = "validation", **params: Param
    ) -> Proposal:
        """A trial of this study, with the driver's own parameters, or those of its one clip."""
        spec = TrialSpec(model=self.model, task=self.task, shots=shots, demo_seed=demo_seed, split=split, clips=clips)
        if len(clips) == 1 and not params:
            params = {"layer": clips[0].layer, "module": clips[0].module, "clip_rate": clips[0].clip_rate}
        return Proposal(spec=spec, params={"shots": shots, "demo_seed": demo_seed, **params})


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
