"""Choices of a space that is searched, not enumerated: drawn, listed, and found again in stored rows."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, combinations, product
from typing import TypeVar

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.scores import values_of
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import KindOfClip
from clipsweep.trials.spec.modules import MODULES
from clipsweep.trials.spec.trial import VALIDATION

T = TypeVar("T")
RATE_DIGITS = 4
NEAR = 0.05  # of a range of rates: how far a neighbour usually is


def rates_to_search(space: Space) -> tuple[float, ...]:
    """The listed rates that clip something, ascending; empty where the space has a range."""
    return tuple(sorted(rate for rate in space.clip_rates if rate))


def join(clips: Iterable[Clip], most: int) -> tuple[Clip, ...]:
    """Clips that a trial may have together: of those that share a matrix the one of the larger rate, ``most`` in all.

    Idle clips are dropped. In one layer ``attn`` and ``mlp`` may stand together, ``attn`` and ``q`` may not.
    """
    kept: list[Clip] = []
    for clip in sorted(clips, key=lambda clip: (-clip.clip_rate, clip.layer, clip.module)):
        if not clip.is_idle and len(kept) < most and not any(_overlap(clip, other) for other in kept):
            kept.append(clip)
    return tuple(sorted(kept, key=lambda clip: (clip.layer, clip.module)))


def _overlap(one: Clip, other: Clip) -> bool:
    return one.layer == other.layer and bool({*MODULES[one.module]} & {*MODULES[other.module]})


def joined(space: Space, clips: Iterable[Clip]) -> tuple[Clip, ...]:
    """Clips as a trial of the space may have them: of a joint search ``join``, else those of the one site."""
    if space.max_clips > 1:
        return join(clips, space.max_clips)
    clips = tuple(clips)
    return join(clips, len(clips))


def draw(space: Space, rng: random.Random) -> Choice:
    """A random choice that clips something: a number of sites, then which and their rates, each as likely."""
    sites = space.sites
    chosen = rng.sample(sites, rng.randint(1, min(space.max_clips, len(sites))))
    cuts = [(_draw_rate(space, rng), _draw_kind(space, rng)) for _ in chosen]
    clips = _clips(chosen, [(kind, rate) for rate, kind in cuts])
    return Choice(rng.choice(space.shots), joined(space, clips))


def _draw_rate(space: Space, rng: random.Random) -> float:
    if space.rate_range is None:
        return rng.choice(rates_to_search(space))
    return round(rng.uniform(*space.rate_range), RATE_DIGITS)


def _draw_kind(space: Space, rng: random.Random) -> KindOfClip:
    """A kind of clip; where there is one, nothing is drawn, so that other draws stay what they were."""
    return rng.choice(space.kinds) if len(space.kinds) > 1 else space.kinds[0]


def vary(space: Space, choice: Choice, rng: random.Random) -> Choice:
    """A neighbour: one of its sites a few layers or rates away, near ones more often than far ones."""
    if not choice.clips:
        return draw(space, rng)
    groups = _by_site(space, choice.clips)
    number = rng.randrange(len(groups))
    groups[number] = _vary_site(space, groups[number], rng)
    return Choice(choice.shots, joined(space, chain.from_iterable(groups)))


def _by_site(space: Space, clips: Sequence[Clip]) -> list[tuple[Clip, ...]]:
    """Clips by the site that they belong to: all to one, but in a joint search, whose sites are single layers."""
    if space.max_clips > 1:
        return [(clip,) for clip in clips]
    return [tuple(clips)] if clips else []


def _vary_site(space: Space, clips: Sequence[Clip], rng: random.Random) -> tuple[Clip, ...]:
    """The clips of a site at another one of the same module, or at another rate."""
    first = clips[0]
    if rng.random() < 0.5:
        places = sorted(site.layers for site in space.sites if site.module == first.module)
        moved = _step(places, tuple(clip.layer for clip in clips), rng)
        return tuple(replace(first, layer=layer) for layer in moved)
    rate = _vary_rate(space, first.clip_rate, rng)
    return tuple(replace(clip, clip_rate=rate) for clip in clips)


def _vary_rate(space: Space, rate: float, rng: random.Random) -> float:
    if space.rate_range is None:
        return _step(rates_to_search(space), rate, rng)
    low, high = space.rate_range
    drawn = rng.gauss(rate, NEAR * (high - low))
    return round(min(high, max(low, drawn)), RATE_DIGITS)


def _step(values: Sequence[T], value: T, rng: random.Random) -> T:
    """A value some places away in either direction, near ones more often than far ones."""
    away = rng.choice((-1, 1)) * math.ceil(rng.expovariate(0.5))
    return values[min(len(values) - 1, max(0, values.index(value) + away))]


def enumerate_choices(space: Space) -> Iterator[Choice]:
    """Every choice that clips something, fewest sites first; nothing where the rates are a range."""
    cuts = list(product(space.kinds, rates_to_search(space)))
    for count in range(1, min(space.max_clips, len(space.sites)) + 1):
        combined = product(space.shots, combinations(space.sites, count), product(cuts, repeat=count))
        for shots, sites, each in combined:
            clips = _clips(sites, each)
            together = join(clips, len(clips))
            if len(together) == len(clips):  # or two of them share a matrix
                yield Choice(shots, together)


def _clips(sites: Iterable[Site], cuts: Iterable[tuple[KindOfClip, float]]) -> list[Clip]:
    """The clips of each site, of a kind and a rate."""
    return [clip for site, (kind, rate) in zip(sites, cuts, strict=True) for clip in site.clips(rate, kind)]


def holds(space: Space, choice: Choice) -> bool:
    """Whether a choice lies in the space; the untouched model does, at its shots."""
    groups = _by_site(space, choice.clips)
    few_enough = len(groups) <= space.max_clips
    return choice.shots in space.shots and few_enough and all(_holds_site(space, clips) for clips in groups)


def _holds_site(space: Space, clips: Sequence[Clip]) -> bool:
    """Whether clips are those of one site of the space, of one kind and rate."""
    first = clips[0]
    site = Site(tuple(clip.layer for clip in clips), first.module)
    alike = all(replace(clip, layer=first.layer) == first for clip in clips[1:])
    if not alike or site not in space.sites or first.of_kind not in space.kinds or not first.clip_rate:
        return False  # a search draws no rate of 0, whatever the kind
    if space.rate_range is None:
        return first.clip_rate in space.clip_rates
    return space.rate_range.low <= first.clip_rate <= space.rate_range.high


def choices_of_rows(space: Space, rows: Mapping[str, StoredRow]) -> list[Choice]:
    """What the validation trials among latest rows were choices of, each once, in the order they began."""
    looked_at = values_of(rows, ("split", "started_at", "shots", "clips", "task"))
    validation = [each for each in looked_at if each[0] == VALIDATION]
    validation.sort(key=lambda each: each[1])
    told = ((space.shots_of_choice(task, shots), clips) for _, _, shots, clips, task in validation)
    found = dict.fromkeys(Choice(shots, join(clips, len(clips))) for shots, clips in told if shots is not None)
    return [choice for choice in found if holds(space, choice)]
