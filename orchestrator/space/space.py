"""The points of a study: each computed from its index, so that a space of any size costs one integer to hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import NamedTuple

from clipsweep.analysis.winners.point import BEST_MEAN
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.space.site import Site
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND, KindOfClip
from clipsweep.trials.spec.modules import ATTENTION_ROLES, MLP_ROLES, MODULES
from clipsweep.trials.spec.trial import TEST, VALIDATION, TrialSpec


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
        sites: What is clipped together: layers ascending, of each, or of each range of them, its modules in the study's
            order.
        kinds: Kinds of clip, each with its options.
        clip_rates: Fractions; empty where they are a range.
        modules: Names of modules, in the study's order.
        baseline_competes: Whether the untouched model can win; in Algorithm 1 only a clip rate can, of which 0 is one.
        metric: Column of scores that points are judged by.
        winner: How the winner is picked: ``Point.rule``.
        rate_range: Where the rates are not listed. Such a space cannot be enumerated.
        max_clips: How many sites a trial may clip. Enumerated by index are trials of one.
        min_gain: By how much a step must gain, in the metric, where points are composed step by step; else None.
    """

    model: str
    task: str
    shots: tuple[int, ...]
    demo_seeds: tuple[int, ...]
    sites: tuple[Site, ...]
    kinds: tuple[KindOfClip, ...] = (KindOfClip(DEFAULT_KIND),)
    clip_rates: tuple[float, ...]
    modules: tuple[str, ...]
    baseline_competes: bool = True
    metric: str = "accuracy"
    winner: str = BEST_MEAN
    rate_range: RateRange | None = None
    max_clips: int = 1
    min_gain: float | None = None
    _visited_sites: tuple[Site, ...] = field(init=False, repr=False, compare=False)
    _visited_rates: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put sites and rates into the order in which they are visited."""
        by_cost = sorted(self.sites, key=lambda site: (-site.layers[0], _parts_to_run(site.module), site.layers))
        object.__setattr__(self, "_visited_sites", tuple(by_cost))
        object.__setattr__(self, "_visited_rates", coarse_to_fine(sorted(self.clip_rates, reverse=True)))

    def __len__(self) -> int:
        """Points in all, one for each demonstration seed."""
        return len(self.shots) * len(self.demo_seeds) * (1 + self.n_clips)

    @property
    def n_points(self) -> int:
        """Points that can win, demonstration seeds taken together."""
        return len(self.shots) * (self.baseline_competes + self.n_clips)

    @property
    def n_clips(self) -> int:
        """Points of one prompt set that clip something: a site, a kind and a rate each."""
        return len(self.sites) * len(self.kinds) * len(self.clip_rates)

    def proposal(self, index: int) -> Proposal:
        """The point of an index.

        Prompt sets follow each other, shots by shots, and of each all seeds. In each the untouched model comes first,
        in whose pass activations are captured, then its clips as ``visited_clips`` orders them.
        """
        prompt_set, number = divmod(index, 1 + self.n_clips)
        shots, seed = divmod(prompt_set, len(self.demo_seeds))
        clips = self.visited_clips(number - 1) if number else ()
        return self.propose(self.shots[shots], self.demo_seeds[seed], clips)

    def visited_clips(self, number: int) -> tuple[Clip, ...]:
        """The clips of a number, cheap and telling ones first: one, or one for each layer of a range.

        Sites go from the last layer to the first, so that trials that start at the same place, and share what was
        captured there, run together: of a layer those that change its MLP alone, then its attention, then both. A range
        starts at its first layer, and runs with those. Of each site and kind the largest rate comes first, then the
        smallest, then those that halve the gaps.
        """
        place, rate = divmod(number, len(self.clip_rates))
        site, kind = divmod(place, len(self.kinds))
        return self._visited_sites[site].clips(self._visited_rates[rate], self.kinds[kind])

    def choices(self) -> Iterator[Choice]:
        """Every point that can win, in the study's order; the untouched model comes first of its shots."""
        untouched: list[tuple[Clip, ...]] = [()] if self.baseline_competes else []
        for shots in self.shots:
            yield from (Choice(shots, clips) for clips in untouched)
            for site, kind, rate in product(self.sites, self.kinds, self.clip_rates):
                yield Choice(shots, site.clips(rate, kind))

    def untouched(self) -> list[Choice]:
        """The untouched model at each number of shots."""
        return [Choice(shots, ()) for shots in self.shots]

    def largest_clips(self) -> list[tuple[Clip, ...]]:
        """The clips of each site and kind at the largest rate."""
        rate = self.rate_range.high if self.rate_range else max(self.clip_rates)
        return [site.clips(rate, kind) for site, kind in product(self.sites, self.kinds)]

    def starts(self) -> list[Clip]:
        """A clip for each site and kind, in its first layer: where trials start to differ from the untouched model."""
        return [clips[0] for clips in self.largest_clips()]

    def proposals_of(self, choice: Choice) -> list[Proposal]:
        """Its validation trial for each demonstration seed."""
        return [self.propose(choice.shots, seed, choice.clips) for seed in self.demo_seeds]

    def test_proposals(self, choice: Choice) -> list[Proposal]:
        """The trials that measure a choice and its baseline on the test split."""
        pairs = product(((), choice.clips), self.demo_seeds)
        return [self.propose(choice.shots, seed, clips, TEST) for clips, seed in pairs]

    def propose(self, shots: int, demo_seed: int, clips: tuple[Clip, ...], split: str = VALIDATION) -> Proposal:
        """A trial of this study."""
        spec = TrialSpec(model=self.model, task=self.task, shots=shots, demo_seed=demo_seed, split=split, clips=clips)
        return Proposal(spec=spec)


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
