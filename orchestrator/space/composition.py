"""Greedy composition, as LASER describes it (Sharma, Ash and Misra, 2024, arXiv:2312.13558): clip upon clip.

From the last layer down, a step tries one site at every kind and rate on top of the clips kept so far, and keeps the
best if it gains by more than ``min_gain``. What has been kept, and what comes next, follows from scores alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.scores import mean_goodness, state_of
from clipsweep.analysis.winners.several import broken_guards
from clipsweep.orchestrator.space.points import make_points
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.space.subject import Subject
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.result import TrialState

LOST = -math.inf  # the score of a choice that failed, or breaks a guard: whatever else is tried is better
EQUAL = 1e-9  # gains that differ by less are equal: fractions of rows are not exact in binary
# How good a choice is on validation, over its seeds: its score, turned so that more is better. None while not known.
Score = Callable[[Choice], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComposeStep:
    """One site, tried on top of what was kept before it.

    Attributes:
        site: What is clipped in addition.
        before: What was kept when it began.
        tried: What it tries: each kind and rate, in the study's order.
        best: The first of the best of them; None while some have no score, and where all failed.
        gain: What the best gains in the metric over ``before``; None without a best.
        kept: Whether it gains by more than ``min_gain``.
    """

    site: Site
    before: Choice
    tried: tuple[Choice, ...]
    best: Choice | None = None
    gain: float | None = None
    kept: bool = False

    @property
    def after(self) -> Choice:
        """What is kept when it has ended."""
        return self.best if self.kept and self.best is not None else self.before


@dataclass(frozen=True, slots=True, kw_only=True)
class Composition:
    """How far the composition for one number of shots is.

    Attributes:
        steps: Those that have ended, in order.
        under_way: The step whose choices do not all have scores; None before the first, and at the end.
        missing: What has no score yet of that step, or the untouched model; none at the end.
        kept: What has been kept so far.
        ahead: Sites of the steps after that, as far as they can be told; fewer may come.
    """

    steps: tuple[ComposeStep, ...]
    under_way: ComposeStep | None
    missing: tuple[Choice, ...]
    kept: Choice
    ahead: tuple[Site, ...]

    @property
    def path(self) -> list[Choice]:
        """The untouched model, and what was kept after each step that kept something; scores rise along it."""
        return [Choice(self.kept.shots, ()), *(step.after for step in self.steps if step.kept)]

    @property
    def visited(self) -> list[Choice]:
        """The untouched model, and all that its steps have tried or try, step by step."""
        steps = self.steps if self.under_way is None else (*self.steps, self.under_way)
        return [Choice(self.kept.shots, ()), *(choice for step in steps for choice in step.tried)]


def compose(space: Space, shots: int, score: Score) -> Composition:
    """Follow the composition for one number of shots as far as scores are known.

    Args:
        space: Whose ``min_gain`` is set.
        shots: Demonstrations in the prompt.
        score: Of choices; ``LOST`` of those that failed or break a guard.
    """
    assert space.min_gain is not None, "only spaces of driver compose are composed"
    kept = Choice(shots, ())
    reached = score(kept)
    sites = [] if reached == LOST else _downwards(space)
    if reached is None:
        return Composition(steps=(), under_way=None, missing=(kept,), kept=kept, ahead=tuple(sites))
    steps: list[ComposeStep] = []
    for number, site in enumerate(sites):
        if sum(step.kept for step in steps) == space.max_clips:
            break
        if _overlaps(site, kept.clips):
            continue
        step = ComposeStep(site=site, before=kept, tried=tuple(on_top(space, kept, site)))
        scores = {choice: found for choice in step.tried if (found := score(choice)) is not None}
        missing = tuple(choice for choice in step.tried if choice not in scores)
        if missing:
            ahead = tuple(each for each in sites[number + 1 :] if not _overlaps(each, kept.clips))
            return Composition(steps=tuple(steps), under_way=step, missing=missing, kept=kept, ahead=ahead)
        steps.append(_decided(step, scores, reached, space.min_gain))
        kept = steps[-1].after
        reached = scores.get(kept, reached)
    return Composition(steps=tuple(steps), under_way=None, missing=(), kept=kept, ahead=())


def _decided(step: ComposeStep, scores: Mapping[Choice, float], reached: float, min_gain: float) -> ComposeStep:
    """A step all of whose scores are known."""
    highest = max(scores.values())
    if highest == LOST:
        return step
    best = next(choice for choice in step.tried if scores[choice] >= highest - EQUAL)  # of equals the first
    gain = scores[best] - reached
    return ComposeStep(
        site=step.site,
        before=step.before,
        tried=step.tried,
        best=best,
        gain=gain,
        kept=gain > min_gain + EQUAL,
    )


def _downwards(space: Space) -> list[Site]:
    """Sites in the order of the steps: by their last layer, then their first, downwards; then in the study's order."""
    return sorted(space.sites, key=lambda site: (-site.layers[-1], -site.layers[0]))


def _overlaps(site: Site, clips: tuple[Clip, ...]) -> bool:
    """Whether a site shares a matrix with clips that were kept."""
    roles = {*MODULES[site.module]}
    return any(clip.layer in site.layers and roles & {*MODULES[clip.module]} for clip in clips)


def on_top(space: Space, kept: Choice, site: Site) -> Iterator[Choice]:
    """A site at every kind and rate above 0, in the study's order, besides what was kept."""
    rates = [rate for rate in space.clip_rates if rate]
    for kind, rate in product(space.kinds, rates):
        clips = (*kept.clips, *site.clips(rate, kind))
        yield Choice(kept.shots, tuple(sorted(clips, key=lambda clip: (clip.layer, clip.module))))


def compositions_of(
    space: Space, subject: Subject, rows: Mapping[str, StoredRow], *, again: bool = False
) -> list[Composition]:
    """The composition of each number of shots, as far as stored rows tell.

    Args:
        space: Of the study.
        subject: Its model and task.
        rows: Latest attempt at each trial, by trial identity.
        again: Whether failed trials will be tried again, so that their score is not known.
    """
    score = stored_scores(space, subject, rows, again=again)
    return [compose(space, shots, score) for shots in space.shots]


def stored_scores(space: Space, subject: Subject, rows: Mapping[str, StoredRow], *, again: bool) -> Score:
    """How good choices are on validation by stored rows; arguments as for ``compositions_of``."""

    def score(choice: Choice) -> float | None:
        (point,) = make_points(space, [choice], subject)
        if not again and any(state_of(trial_id, rows) is TrialState.FAILED for trial_id in point.trial_ids):
            return LOST
        return LOST if broken_guards(point, rows) else mean_goodness(point.trial_ids, rows, space.metric, point.tasks)

    return score
