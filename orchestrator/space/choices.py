"""Choices of a space that is searched, not enumerated: drawn, listed, and found again in stored rows."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import TypeVar

from clipsweep.analysis.store.table import Row
from clipsweep.orchestrator.space.layer_rule import Site
from clipsweep.orchestrator.space.space import Choice, Space
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.modules import MODULES

T = TypeVar("T")
RATE_DIGITS = 4
NEAR = 0.05  # of a range of rates: how far a neighbour usually is


def rates_to_search(space: Space) -> tuple[float, ...]:
    """The listed rates that clip something, ascending; empty where the space has a range."""
    return tuple(sorted(rate for rate in space.clip_rates if rate))


def join(clips: Iterable[Clip], most: int) -> tuple[Clip, ...]:
    """Clips that a trial may have together: of those that share a matrix the one of the larger rate, ``most`` in all.

    Clips of rate 0 are dropped. In one layer ``attn`` and ``mlp`` may stand together, ``attn`` and ``q`` may not.
    """
    kept: list[Clip] = []
    for clip in sorted(clips, key=lambda clip: (-clip.clip_rate, clip.layer, clip.module)):
        if clip.clip_rate and len(kept) < most and not any(_overlap(clip, other) for other in kept):
            kept.append(clip)
    return tuple(sorted(kept, key=lambda clip: (clip.layer, clip.module)))


def _overlap(one: Clip, other: Clip) -> bool:
    return one.layer == other.layer and bool({*MODULES[one.module]} & {*MODULES[other.module]})


def draw(space: Space, rng: random.Random) -> Choice:
    """A random choice that clips something: a number of clips, then sites and rates, each as likely as any other."""
    sites, rates = space.sites(), rates_to_search(space)
    chosen = rng.sample(sites, rng.randint(1, min(space.max_clips, len(sites))))

    def rate() -> float:
        if space.rate_range is None:
            return rng.choice(rates)
        return round(rng.uniform(*space.rate_range), RATE_DIGITS)

    clips = [Clip(layer=layer, module=module, clip_rate=rate()) for layer, module in chosen]
    return Choice(rng.choice(space.shots), join(clips, space.max_clips))


def vary(space: Space, choice: Choice, rng: random.Random) -> Choice:
    """A neighbour: one of its clips a few layers or rates away, near ones more often than far ones."""
    if not choice.clips:
        return draw(space, rng)
    clips = list(choice.clips)
    number = rng.randrange(len(clips))
    layer, module, rate = clips[number].layer, clips[number].module, clips[number].clip_rate
    if rng.random() < 0.5:
        layer = _step(sorted(each for each, other in space.sites() if other == module), layer, rng)
    elif space.rate_range is None:
        rate = _step(rates_to_search(space), rate, rng)
    else:
        low, high = space.rate_range
        rate = round(min(high, max(low, rng.gauss(rate, NEAR * (high - low)))), RATE_DIGITS)
    clips[number] = replace(clips[number], layer=layer, clip_rate=rate)
    return Choice(choice.shots, join(clips, space.max_clips))


def _step(values: Sequence[T], value: T, rng: random.Random) -> T:
    away = rng.choice((-1, 1)) * math.ceil(rng.expovariate(0.5))
    return values[min(len(values) - 1, max(0, values.index(value) + away))]


def enumerate_choices(space: Space) -> Iterator[Choice]:
    """Every choice that clips something, fewest clips first; nothing where the rates are a range."""
    rates = rates_to_search(space)
    for count in range(1, min(space.max_clips, space.n_sites) + 1):
        for shots, sites, each in product(
            space.shots, combinations(space.sites(), count), product(rates, repeat=count)
        ):
            clips = _clips(sites, each)
            if len(joined := join(clips, count)) == count:
                yield Choice(shots, joined)


def _clips(sites: Iterable[Site], rates: Iterable[float]) -> list[Clip]:
    return [
        Clip(layer=layer, module=module, clip_rate=rate) for (layer, module), rate in zip(sites, rates, strict=True)
    ]


def holds(space: Space, choice: Choice) -> bool:
    """Whether a choice lies in the space; the untouched model does, at its shots."""
    sites, rates = {*space.sites()}, space.clip_rates
    low, high = space.rate_range or (0.0, 0.0)
    return (
        choice.shots in space.shots
        and len(choice.clips) <= space.max_clips
        and all((clip.layer, clip.module) in sites for clip in choice.clips)
        and all(low <= clip.clip_rate <= high if space.rate_range else clip.clip_rate in rates for clip in choice.clips)
    )


def choices_of_rows(space: Space, rows: Iterable[Row]) -> list[Choice]:
    """What rows of validation trials were choices of, each once, in the order they began."""
    validation = [row for row in rows if row["split"] == "validation"]
    found = {choice_of_row(row): None for row in sorted(validation, key=lambda row: row["started_at"])}
    return [choice for choice in found if holds(space, choice)]


def choice_of_row(row: Row) -> Choice:
    """What a row's trial was a choice of."""
    clips = [Clip(**clip) for clip in row["clips"]]
    return Choice(row["shots"], join(clips, len(clips)))
