"""The points of a study: each computed from its index, so that a space of any size costs one integer to hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from analysis.winners import Point
from orchestrator.study import Study
from trials.model_card import ModelCard, trial_id
from trials.values import Clip, TrialSpec

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A trial that a driver wants, with the driver's own parameters for it."""

    spec: TrialSpec
    params: dict[str, int | float | str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Every combination of the study's axes, after one baseline for each shots and demonstration seed.

    Attributes:
        model: As the study names it.
        task: Name of the task.
        shots: Axis; so are the next four.
        demo_seeds: Seeds that draw demonstrations.
        layers: 0-based.
        modules: Names of modules.
        clip_rates: Fractions.
    """

    model: str
    task: str
    shots: tuple[int, ...]
    demo_seeds: tuple[int, ...]
    layers: tuple[int, ...]
    modules: tuple[str, ...]
    clip_rates: tuple[float, ...]

    @classmethod
    def of(cls, study: Study, card: ModelCard) -> Space:
        """Resolve a study's axes for one model; repeated values count once.

        Raises:
            SpecError: A layer or module that the model does not have.
        """
        space = study.space
        layers = range(card.n_layers) if space.layers == "all" else map(card.layer_index, space.layers)
        for module in space.modules:
            card.roles(module)
        return cls(
            model=study.model.path,
            task=study.task.name,
            shots=_unique(space.shots),
            demo_seeds=_unique(space.demo_seeds),
            layers=tuple(sorted(set(layers))),  # the first cost most, and each starts from what the last captured
            modules=_unique(space.modules),
            clip_rates=_unique(map(float, space.clip_rates)),
        )

    @property
    def n_baselines(self) -> int:
        """Baseline points, which come first."""
        return len(self.shots) * len(self.demo_seeds)

    def __len__(self) -> int:
        """Points in all."""
        return self.n_baselines * (1 + len(self.layers) * len(self.modules) * len(self.clip_rates))

    def proposal(self, index: int) -> Proposal:
        """The point of an index: baselines first, then shots, seed, layer, module and, fastest, clip rate."""
        if index < self.n_baselines:
            shots, seed = divmod(index, len(self.demo_seeds))
            return self._propose(self.shots[shots], self.demo_seeds[seed], None)
        rest, rate = divmod(index - self.n_baselines, len(self.clip_rates))
        rest, module = divmod(rest, len(self.modules))
        rest, layer = divmod(rest, len(self.layers))
        shots, seed = divmod(rest, len(self.demo_seeds))
        clip = Clip(layer=self.layers[layer], module=self.modules[module], clip_rate=self.clip_rates[rate])
        return self._propose(self.shots[shots], self.demo_seeds[seed], clip)

    def points(self, card: ModelCard, task_fingerprint: str, *, tested: bool) -> list[Point]:
        """Every point with the identities of its trials, demonstration seeds taken together.

        Args:
            card: The model.
            task_fingerprint: The task's.
            tested: Whether the task has a test split.
        """

        def ids(shots: int, clip: Clip | None, split: str) -> tuple[str, ...]:
            specs = (self._propose(shots, seed, clip, split).spec for seed in self.demo_seeds)
            return _unique(trial_id(spec, card, task_fingerprint) for spec in specs)  # at 0 shots all seeds are one

        def point(shots: int, clip: Clip | None) -> Point:
            return Point(
                layer=clip.layer if clip else None,
                module=clip.module if clip else None,
                clip_rate=clip.clip_rate if clip else 0.0,
                shots=shots,
                trial_ids=ids(shots, clip, "validation"),
                baseline_ids=ids(shots, None, "validation"),
                test_ids=ids(shots, clip, "test") if tested else (),
                baseline_test_ids=ids(shots, None, "test") if tested else (),
            )

        return [point(shots, clip) for shots in self.shots for clip in (None, *self._clips())]

    def test_proposals(self, point: Point) -> list[Proposal]:
        """The trials that measure ``point`` and its baseline on the test split."""
        clip = None
        if point.layer is not None and point.module is not None:
            clip = Clip(layer=point.layer, module=point.module, clip_rate=point.clip_rate)
        return [self._propose(point.shots, seed, each, "test") for each in (None, clip) for seed in self.demo_seeds]

    def starts(self) -> list[Clip]:
        """A clip for each layer and module: where trials start to differ from the untouched model."""
        rate = max(self.clip_rates)
        return [Clip(layer=layer, module=module, clip_rate=rate) for layer in self.layers for module in self.modules]

    def _clips(self) -> list[Clip]:
        return [
            Clip(layer=layer, module=module, clip_rate=rate)
            for layer in self.layers
            for module in self.modules
            for rate in self.clip_rates
        ]

    def _propose(self, shots: int, demo_seed: int, clip: Clip | None, split: str = "validation") -> Proposal:
        spec = TrialSpec(
            model=self.model,
            task=self.task,
            shots=shots,
            demo_seed=demo_seed,
            split=split,
            clips=(clip,) if clip else (),
        )
        params: dict[str, int | float | str | None] = {"shots": shots, "demo_seed": demo_seed}
        if clip:
            params |= {"layer": clip.layer, "module": clip.module, "clip_rate": clip.clip_rate}
        return Proposal(spec=spec, params=params)


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
