"""Greedy composition from scores that a formula gives."""

from collections.abc import Mapping
from typing import Any

import pytest

from clipsweep.orchestrator.space.composition import LOST, Composition, Score, compose, on_top
from clipsweep.orchestrator.space.proposal import Choice
from clipsweep.orchestrator.space.site import Site
from clipsweep.orchestrator.space.space import Space
from tests.orchestrator.space.spaces import space_over

Gains = Mapping[tuple[int, str, float], float]
GAINS: Gains = {(2, "mlp", 0.9): 0.1, (1, "mlp", 0.5): 0.05, (1, "mlp", 0.9): 0.05, (0, "attn", 0.9): 0.02}
BEST = ((0, "attn", 0.9), (1, "mlp", 0.5), (2, "mlp", 0.9))


def make_space(**axes: Any) -> Space:
    """Three layers of both modules at two rates."""
    changes: dict[str, Any] = {"clip_rates": (0.0, 0.5, 0.9), "max_clips": 6, "min_gain": 0.0} | axes
    return space_over((0, 1, 2), ("attn", "mlp"), **changes)


def adds_up(gains: Gains = GAINS) -> Score:
    """Each clip adds what it gains; one that is not named loses 0.05."""

    def score(choice: Choice) -> float:
        return 0.5 + sum(gains.get((clip.layer, clip.module, clip.clip_rate), -0.05) for clip in choice.clips)

    return score


def kept(composition: Composition) -> tuple[tuple[int, str, float], ...]:
    return tuple((clip.layer, clip.module, clip.clip_rate) for clip in composition.kept.clips)


def test_each_step_keeps_the_best_of_a_site_from_the_last_layer_down() -> None:
    composition = compose(make_space(), 4, adds_up())
    assert kept(composition) == BEST  # of equal rates the first
    sites = [(step.site.label, step.site.module, step.kept) for step in composition.steps]
    assert sites == [
        ("2", "attn", False), ("2", "mlp", True), ("1", "attn", False),
        ("1", "mlp", True), ("0", "attn", True), ("0", "mlp", False),
    ]  # fmt: skip
    assert [step.gain for step in composition.steps if step.kept] == pytest.approx([0.1, 0.05, 0.02])
    assert not composition.missing


def test_no_site_ahead_shares_a_matrix_with_a_clip_that_was_kept() -> None:
    space = space_over((0, 1, 2), ("mlp", "fc_in", "attn"), clip_rates=(0.9,), max_clips=9, min_gain=0.0)

    def until_the_last_attn(choice: Choice) -> float | None:
        unknown = any((clip.layer, clip.module) == (2, "attn") for clip in choice.clips)
        return None if unknown else adds_up()(choice)

    composition = compose(space, 4, until_the_last_attn)
    assert kept(composition) == ((2, "mlp", 0.9),)
    ahead = [(site.label, site.module) for site in composition.ahead]
    assert ahead == [(layer, module) for layer in "10" for module in ("mlp", "fc_in", "attn")]
    for site in composition.ahead:
        assert [space.propose(4, 0, choice.clips) for choice in on_top(space, composition.kept, site)]


def test_along_the_path_scores_rise_and_its_end_is_the_best_that_was_tried() -> None:
    composition, score = compose(make_space(), 4, adds_up()), adds_up()
    reached = [score(choice) or 0.0 for choice in composition.path]
    assert reached == sorted({*reached})
    assert max(score(choice) or 0.0 for choice in composition.visited) == reached[-1]


def test_a_clip_that_gains_no_more_than_the_least_gain_is_not_kept() -> None:
    assert kept(compose(make_space(min_gain=0.02), 4, adds_up())) == BEST[1:]  # 0.02 is not more than 0.02
    assert kept(compose(make_space(min_gain=0.019), 4, adds_up())) == BEST


def test_it_ends_when_as_many_clips_are_kept_as_may_be() -> None:
    composition = compose(make_space(max_clips=2), 4, adds_up())
    assert kept(composition) == BEST[1:]
    assert len(composition.steps) == 4


def test_a_tie_with_what_was_kept_before_changes_nothing() -> None:
    assert kept(compose(make_space(), 4, lambda _: 0.5)) == ()


def test_a_failed_choice_loses_its_step_and_where_all_fail_nothing_is_kept() -> None:
    def score(choice: Choice) -> float:
        failed = any((clip.layer == 2 and clip.clip_rate == 0.9) or clip.layer == 1 for clip in choice.clips)
        return LOST if failed else 0.5 + 0.1 * len(choice.clips)

    composition = compose(make_space(), 4, score)
    assert kept(composition) == ((0, "attn", 0.5), (0, "mlp", 0.5), (2, "attn", 0.5), (2, "mlp", 0.5))
    assert [step.best is None for step in composition.steps] == [False, False, True, True, False, False]


def test_without_the_untouched_model_there_is_no_composition() -> None:
    composition = compose(make_space(), 4, lambda _: LOST)
    assert (composition.steps, composition.missing, composition.visited) == ((), (), [Choice(4, ())])


def test_what_is_missing_is_the_untouched_model_and_then_a_step_at_a_time() -> None:
    known: dict[Choice, float] = {}
    sizes = []
    while missing := compose(make_space(), 4, known.get).missing:
        sizes.append(len(missing))
        known |= {choice: adds_up()(choice) or 0.0 for choice in missing}
    assert sizes == [1, 2, 2, 2, 2, 2, 2]
    assert kept(compose(make_space(), 4, known.get)) == BEST


def test_a_range_is_one_step_and_sites_that_share_a_matrix_with_it_are_left_out() -> None:
    ranges = ((0,), (0, 1), (1, 2), (2,))
    space = make_space(sites=tuple(Site(layers, module) for layers in ranges for module in ("mlp", "fc_in")))
    gains = {(layer, "mlp", 0.9): 0.1 for layer in (1, 2)} | {(2, "mlp", 0.5): -0.2, (0, "fc_in", 0.9): 0.1}

    def score(choice: Choice) -> float:
        alone = [clip for clip in choice.clips if clip.layer == 2] and len({clip.layer for clip in choice.clips}) == 1
        return 0.0 if alone else adds_up(gains)(choice) or 0.0  # layer 2 alone is bad, with layer 1 it is good

    composition = compose(space, 4, score)
    assert [(step.site.label, step.site.module) for step in composition.steps] == [
        ("2", "mlp"), ("2", "fc_in"), ("1-2", "mlp"), ("0", "mlp"), ("0", "fc_in"),
    ]  # fmt: skip
    assert kept(composition) == ((0, "fc_in", 0.9), (1, "mlp", 0.9), (2, "mlp", 0.9))


def test_clips_of_a_choice_are_in_the_order_of_all_choices() -> None:
    composition = compose(make_space(), 4, lambda choice: float(len(choice.clips)))
    assert [(clip.layer, clip.module) for clip in composition.kept.clips] == [
        (layer, module) for layer in range(3) for module in ("attn", "mlp")
    ]
