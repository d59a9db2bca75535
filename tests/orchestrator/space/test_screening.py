"""Every clip of a space is screened on each of its prompt sets."""

from dataclasses import replace

from clipsweep.orchestrator.space.screening import RATES_OF_A_RANGE, screen_requests, screened_rates
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import RateRange, Space

SPACE = Space(
    model="m",
    task="t",
    shots=(0, 4),
    demo_seeds=(0, 1),
    sites=(Site((0,), "mlp"), Site((1, 2), "attn")),
    clip_rates=(0.0, 0.5, 0.9),
    modules=("mlp", "attn"),
)


def test_every_clip_is_screened_alone_on_every_prompt_set() -> None:
    requests = screen_requests(SPACE, 100)
    places = {(clip.layer, clip.module, clip.clip_rate) for clip in requests[0].clips}
    assert places == {
        (layer, module, rate) for layer, module in ((0, "mlp"), (1, "attn"), (2, "attn")) for rate in (0.5, 0.9)
    }
    assert {(each.clips, each.rows) for each in requests} == {(requests[0].clips, 100)}


def test_without_demonstrations_one_seed_is_enough() -> None:
    prompt_sets = [(each.prompt_set.shots, each.prompt_set.demo_seed) for each in screen_requests(SPACE, 100)]
    assert prompt_sets == [(0, 0), (4, 0), (4, 1)]


def test_of_a_range_of_rates_some_are_screened_with_its_ends() -> None:
    rates = screened_rates(replace(SPACE, clip_rates=(), rate_range=RateRange(0.1, 0.9)))
    assert (len(rates), rates[0], rates[-1]) == (RATES_OF_A_RANGE, 0.1, 0.9)
