"""Layers that a screen chooses."""

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pytest

from clipsweep.analysis.screens.screens import Screens
from clipsweep.orchestrator.plan.prepare import fill_in
from clipsweep.orchestrator.space.pending import PendingSpace, make_space
from clipsweep.orchestrator.space.screen_rule import ScreenRule
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.screen.screened import DEFAULT_ROWS
from clipsweep.trials.spec.clip import Clip
from tests.analysis.screens.made_up import screened
from tests.trials.models.test_card import CARD

MakeStudy = Callable[..., dict[str, Any]]
RATES = [0, 0.5, 0.9]
SHOTS = (0, 2)


@pytest.fixture
def rule_of(make_study: MakeStudy) -> Callable[..., ScreenRule]:
    def make(rule: dict[str, float], *modules: str, seeds: tuple[int, ...] = (0,)) -> ScreenRule:
        axes = {"shots": list(SHOTS), "demo_seeds": list(seeds), "clip_rates": RATES}
        content = make_study(space={"layers": rule, "modules": list(modules or ["mlp"]), **axes}, task={"seed": None})
        made = make_space(fill_in(check_study(content)), CARD)
        assert isinstance(made, PendingSpace)
        assert isinstance(made.rule, ScreenRule)
        return made.rule

    return make


def screens(steps: Mapping[tuple[int, int, int, float], float], modules: tuple[str, ...] = ("mlp",)) -> Screens:
    """Screens where each margin moves by a step of shots, seed, layer and rate; by a step down where none is given."""
    found = []
    for shots, seed in [(0, 0), (2, 0), (2, 1)]:
        moved = {
            Clip(layer=layer, module=module, clip_rate=rate): np.full(
                DEFAULT_ROWS, steps.get((shots, seed, layer, rate), -0.01)
            )
            for layer, module, rate in product(range(CARD.n_layers), modules, [0.5, 0.9])
        }
        found.append(screened(moved, shots=shots, demo_seed=seed, rows=DEFAULT_ROWS))
    return Screens(found)


def chosen(rule: ScreenRule, measured: Screens) -> list[int]:
    sites = rule.choose(measured)
    assert sites is not None
    return [site.layers[0] for site in sites]


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.25, 1), (0.26, 2), (0.75, 3), (1, 4)])
def test_a_share_is_rounded_up_to_whole_layers_of_each_module(
    rule_of: Callable[..., ScreenRule], share: float, count: int
) -> None:
    rule = rule_of({"top_screen": share}, "mlp", "q")
    assert rule.counts == {"mlp": count, "q": count}
    assert len(rule.stand_in()) == 2 * count


def test_the_best_rate_of_a_layer_speaks_for_it(rule_of: Callable[..., ScreenRule]) -> None:
    steps = {(shots, 0, 3, 0.9): 0.5 for shots in SHOTS} | {(shots, 0, 3, 0.5): -2.0 for shots in SHOTS}
    assert chosen(rule_of({"top_screen": 0.25}), screens(steps)) == [3]


def test_seeds_are_averaged_before_the_best_rate_is_taken(rule_of: Callable[..., ScreenRule]) -> None:
    steps = {(2, 0, 1, 0.5): 1.0, (2, 1, 1, 0.5): -1.5, (2, 0, 2, 0.9): 0.2, (2, 1, 2, 0.9): 0.2}
    assert chosen(rule_of({"top_screen": 0.25}, seeds=(0, 1)), screens(steps)) == [2]


def test_numbers_of_shots_count_alike(rule_of: Callable[..., ScreenRule]) -> None:
    steps = {(0, 0, 1, 0.5): 0.3, (2, 0, 1, 0.9): 0.3, (2, 0, 2, 0.5): 0.4, (0, 0, 2, 0.5): -0.4}
    assert chosen(rule_of({"top_screen": 0.25}), screens(steps)) == [1]


def test_rate_zero_is_no_gain_that_a_layer_has(rule_of: Callable[..., ScreenRule]) -> None:
    steps = {(shots, 0, 2, 0.5): -0.001 for shots in SHOTS}
    assert chosen(rule_of({"top_screen": 0.25}), screens(steps)) == [2]


def test_a_gradient_is_large_whatever_its_sign(rule_of: Callable[..., ScreenRule]) -> None:
    steps = {(shots, 0, 2, 0.5): -3.0 for shots in SHOTS} | {(shots, 0, 0, 0.5): 1.0 for shots in SHOTS}
    assert chosen(rule_of({"top_gradient": 1}), screens(steps)) == [2]
    assert chosen(rule_of({"top_gradient": 2}), screens(steps)) == [0, 2]
    assert chosen(rule_of({"top_screen": 0.25}), screens(steps)) == [0]


def test_nothing_is_chosen_before_every_candidate_is_screened(rule_of: Callable[..., ScreenRule]) -> None:
    rule = rule_of({"top_screen": 0.5}, "mlp", "q")
    assert rule.choose(screens({})) is None
    assert rule.choose(screens({}, ("mlp", "q"))) is not None


def test_more_layers_than_there_are_cannot_be_kept(rule_of: Callable[..., ScreenRule]) -> None:
    with pytest.raises(StudyError, match="top_gradient' is 9, but module 'mlp' has 4 candidate layers"):
        rule_of({"top_gradient": 9})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": {"layers": {"top_screen": 0}}}, "'space.layers.top_screen' is 0; expected a fraction above 0, at m"),
        ({"space": {"layers": {"top_screen": 1.5}}}, "'space.layers.top_screen' is 1.5; expected a fraction above 0"),
        ({"space": {"layers": {"top_screen": 0.5, "top_condition": 1}}}, "'space.layers' is .*; expected .* one of"),
        ({"space": {"layers": {"top_screen": None}}}, "'space.layers' is .*; expected .* one of"),
        (
            {"space": {"layers": {"top_screen": 0.5}}, "search": {"driver": "algorithm1"}},
            r"'space.layers' is {'top_screen': 0.5}, but driver 'algorithm1' ranks the layers itself",
        ),
        (
            {"space": {"layers": {"top_screen": 0.5}, "kinds": ["zero"]}},
            r"'space.layers.top_screen' predicts .* space.kinds is \['zero'\]; .* Remove space.layers.top_screen",
        ),
        ({"space": {"layers": {"top_gradient": 1}, "clip_rates": [0]}}, "ranks layers by what clips there do.*above 0"),
        (
            {"space": {"layers": {"top_screen": 0.5}}, "search": {"module_condition": "mean"}},
            "'search.module_condition' is 'mean', but driver 'grid' does not use it",
        ),
    ],
)
def test_what_no_screen_could_choose_is_refused(make_study: MakeStudy, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=words):
        check_study(make_study(**changes))


def test_a_rule_is_written_as_it_was_read(make_study: MakeStudy) -> None:
    study = check_study(make_study(space={"layers": {"top_screen": 0.5}}))
    assert study.model_dump()["space"]["layers"] == {"top_screen": 0.5}
    assert check_study(study.model_dump()) == study
