"""What of a study's space is screened."""

from __future__ import annotations

from itertools import product

from clipsweep.orchestrator.space.space import Space
from clipsweep.trials.screen.screened import ScreenRequest
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.kinds import DEFAULT_KIND, KindOfClip
from clipsweep.trials.spec.trial import VALIDATION, PromptSet

RATES_OF_A_RANGE = 33  # of rates that are not listed; between them predictions are interpolated


def screen_requests(space: Space, rows: int) -> list[ScreenRequest]:
    """Every clip of a space, each alone, on each of its prompt sets; without demonstrations the seed does not count.

    Args:
        space: Of the study.
        rows: How many rows are screened.
    """
    clips = tuple(dict.fromkeys(clip for clip in _clips(space) if not clip.is_idle))
    prompt_sets = [
        PromptSet(shots=shots, demo_seed=seed, split=VALIDATION)
        for shots in space.shots
        for seed in (space.demo_seeds if shots else space.demo_seeds[:1])
    ]
    return [ScreenRequest(prompt_set=prompt_set, clips=clips, rows=rows) for prompt_set in prompt_sets]


def screened_rates(space: Space) -> tuple[float, ...]:
    """The listed clip rates, or so many of a range, evenly spaced."""
    if space.rate_range is None:
        return space.clip_rates
    low, high = space.rate_range
    return tuple(low + (high - low) * number / (RATES_OF_A_RANGE - 1) for number in range(RATES_OF_A_RANGE))


def _clips(space: Space) -> list[Clip]:
    kind = KindOfClip(DEFAULT_KIND)
    return [clip for site, rate in product(space.sites, screened_rates(space)) for clip in site.clips(rate, kind)]
