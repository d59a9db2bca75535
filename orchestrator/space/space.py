"""The points of a study: each computed from its index, so that a space of any size costs one integer to hold."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import NamedTuple

from clipsweep.analysis.winners.point import BEST_MEAN, ScoredTask
from clipsweep.orchestrator.space.proposal import Choice, Part, Proposal
from clipsweep.orchestrator.space.site import Site
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND, KindOfClip
from clipsweep.trials.spec.modules import ATTENTION_ROLES, MLP_ROLES, MODULES
from clipsweep.trials.spec.trial import TEST, VALIDATION, PromptSet, TrialSpec


class RateRange(NamedTuple):
    """Clip rates that are not listed: every fraction from ``low`` to ``high``."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One of several tasks in the score of a study.

    Attributes:
        name: Of the task.
        share: Of its score in a point's; the shares of a study sum to 1, and a task of share 0 is a guard alone.
        metric: Column of scores that it is judged by.
        shots: Demonstrations in its prompts; None for those of the point.
        lose_at_most: By how much a winner may be worse than its baseline on it; None where it is no guard.
    """

    name: str
    share: float
    metric: str
    shots: int | None = None
    lose_at_most: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """Every combination of the study's axes, with one baseline for each task, shots and demonstration seed.

    Attributes:
        model: As the study names it.
        task: Name of the task; of several, of the first.
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
        members: The tasks in its score, where there are several; else none.
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
    members: tuple[Member, ...] = ()
    _visited_sites: tuple[Site, ...] = field(init=False, repr=False, compare=False)
    _visited_rates: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Put sites and rates into the order in which they are visited."""
        by_cost = sorted(self.sites, key=lambda site: (-site.layers[0], _parts_to_run(site.module), site.layers))
        object.__setattr__(self, "_visited_sites", tuple(by_cost))
        object.__setattr__(self, "_visited_rates", coarse_to_fine(sorted(self.clip_rates, reverse=True)))

    def __len__(self) -> int:
        """Points in all, one for each task and demonstration seed."""
        return len(self.shots) * self.n_parts * (1 + self.n_clips)

    @property
    def n_parts(self) -> int:
        """Proposals of a choice: one for each task and demonstration seed."""
        return max(1, len(self.members)) * len(self.demo_seeds)

    @property
    def n_clips(self) -> int:
        """Points of one prompt set that clip something: a site, a kind and a rate each."""
        return len(self.sites) * len(self.kinds) * len(self.clip_rates)

    def proposal(self, index: int) -> Proposal:
        """The point of an index.

        Prompt sets follow each other, shots by shots, of each task by task, and of that all seeds. In each the
        untouched model comes first, in whose pass activations are captured, then its clips as ``visited_clips`` orders
        them.
        """
        prompt_set, number = divmod(index, 1 + self.n_clips)
        shots, part = divmod(prompt_set, self.n_parts)
        clips = self.visited_clips(number - 1) if number else ()
        return self._proposal(Choice(self.shots[shots], clips), part, VALIDATION)

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
        """Its validation trial for each task and demonstration seed."""
        return self._proposals(choice)

    def test_proposals(self, choice: Choice) -> list[Proposal]:
        """The trials that measure a choice and its baseline on the test split."""
        return [*self._proposals(choice._replace(clips=()), TEST), *self._proposals(choice, TEST)]

    def _proposals(self, choice: Choice, split: str = VALIDATION) -> list[Proposal]:
        """Its trial for each task and demonstration seed."""
        return [self._proposal(choice, part, split) for part in range(self.n_parts)]

    def _proposal(self, choice: Choice, part: int, split: str) -> Proposal:
        """One of them: those of a task follow each other."""
        number, seed = divmod(part, len(self.demo_seeds))
        task, shots = self._shots_by_task(choice.shots)[number]
        proposal = self.propose(shots, self.demo_seeds[seed], choice.clips, split, task)
        return proposal if shots == choice.shots else replace(proposal, shots=choice.shots)

    def propose(
        self, shots: int, demo_seed: int, clips: tuple[Clip, ...], split: str = VALIDATION, task: str | None = None
    ) -> Proposal:
        """A trial of this study; of its first task where none is named."""
        spec = TrialSpec(
            model=self.model, task=task or self.task, shots=shots, demo_seed=demo_seed, split=split, clips=clips
        )
        return Proposal(spec=spec)

    def prompt_sets(self, shots: int, split: str = VALIDATION) -> list[PromptSet]:
        """The prompts of a choice of these shots, task by task; without demonstrations all seeds have the same."""
        return [
            PromptSet(shots=own, demo_seed=seed, split=split, task=task)
            for task, own in self._shots_by_task(shots)
            for seed in (self.demo_seeds if own else self.demo_seeds[:1])
        ]

    def scored_tasks(self, shots: int) -> tuple[ScoredTask, ...]:
        """The tasks in the score of a point of these shots; none where there is one alone."""
        numbers = Counter(each.task for each in self.prompt_sets(shots))
        return tuple(
            ScoredTask(
                name=each.name,
                share=each.share,
                n_trials=numbers[each.name],
                metric=each.metric,
                lose_at_most=each.lose_at_most,
            )
            for each in self.members
        )

    def weight_of(self, part: Part) -> float:
        """What a trial counts in the score of its choice, if each task and demonstration seed has one."""
        shares = {each.name: each.share for each in self.members} or {part[0]: 1.0}
        return shares[part[0]] / len(self.demo_seeds)

    def shots_of_choice(self, task: str, shots: int) -> int | None:
        """The shots of the choice that a trial of these shots belongs to; None where that cannot be told."""
        own = next((each.shots for each in self.members if each.name == task), None)
        if own is None:
            return shots
        return self.shots[0] if own == shots and len(self.shots) == 1 else None

    def _shots_by_task(self, shots: int) -> list[tuple[str, int]]:
        """Each task with the demonstrations in its prompts."""
        if not self.members:
            return [(self.task, shots)]
        return [(each.name, shots if each.shots is None else each.shots) for each in self.members]


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
