import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clipsweep.orchestrator.space.layer_rule import LayerRule, layer_rule
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import SpecError, StudyError
from clipsweep.trials.clips.spectrum import Conditions
from tests.trials.models.test_card import CARD, MIXTURE

MakeStudy = Callable[..., dict[str, Any]]


def conditions(*by_layer: float, role: str = "q") -> dict[tuple[int, str], tuple[float, ...]]:
    return {(layer, role): (value,) for layer, value in enumerate(by_layer)}


def rule(count: int, *, deepest: bool = False, n_layers: int = 4, combination: str = "max") -> LayerRule:
    candidates = {"q": {layer: ((layer, "q"),) for layer in range(n_layers)}}
    return LayerRule(candidates=candidates, count=count, deepest=deepest, combination=combination)


@pytest.mark.parametrize(
    ("count", "deepest", "expected"), [(1, True, [1]), (2, True, [3]), (3, True, [3]), (2, False, [1, 3])]
)
def test_of_the_layers_with_the_largest_condition_numbers_all_or_the_deepest_are_chosen(
    count: int, deepest: bool, expected: list[int]
) -> None:
    chosen = rule(count, deepest=deepest).choose(conditions(5.0, 9.0, 1.0, 7.0))
    assert [layer for layer, _ in chosen] == expected


def test_of_equal_condition_numbers_the_lower_layer_comes_first() -> None:
    assert rule(2).leading(conditions(3.0, math.inf, math.inf, math.inf), "q") == [1, 2]


def test_each_module_chooses_for_itself(make_study: MakeStudy) -> None:
    study = check_study(make_study(space={"modules": ["mlp", "q"], "layers": {"top_condition": 1}}))
    measured: Conditions = {
        (layer, role): (float(value),)
        for role, values in {"q": (9, 1, 2, 3), "fc_in": (1, 1, 5, 1), "fc_out": (1, 4, 1, 1)}.items()
        for layer, value in enumerate(values)
    }
    space = Space.of(study, CARD).settle(measured)
    assert space.sites == [(0, "q"), (2, "mlp")]


@pytest.mark.parametrize(("combination", "expected"), [("max", 0), ("mean", 1), ("min", 2)])
def test_a_module_of_several_matrices_is_ranked_by_the_combination_asked_for(
    make_study: MakeStudy, combination: str, expected: int
) -> None:
    search = {"driver": "algorithm1", "top_k": 1, "module_condition": combination}
    study = check_study(make_study(search=search, space={"layers": [0, 1, 2]}))
    measured: Conditions = {
        (0, "fc_in"): (9.0,), (0, "fc_out"): (1.0,),
        (1, "fc_in"): (8.0,), (1, "fc_out"): (4.0,),
        (2, "fc_in"): (5.0,), (2, "fc_out"): (5.0,),
    }  # fmt: skip
    assert Space.of(study, CARD).settle(measured).sites() == [(expected, "mlp")]


def test_experts_count_each(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"layers": "all"}))
    card = replace(MIXTURE, shapes={**MIXTURE.shapes, (0, "up"): MIXTURE.shapes[1, "up"]})
    measured: Conditions = {(0, "up"): (9.0, 2.0), (1, "up"): (3.0, 4.0)}
    assert Space.of(study, card).settle(measured).sites() == [(0, "mlp")]


def test_the_stand_in_is_as_many_layers_as_will_be_chosen_in_the_middle() -> None:
    assert rule(2).stand_in() == ((1, "q"), (2, "q"))
    assert rule(3, deepest=True, n_layers=5).stand_in() == ((2, "q"),)


def test_a_space_is_not_settled_before_all_candidates_are_measured(make_study: MakeStudy) -> None:
    study = check_study(make_study(space={"modules": ["q"], "layers": {"top_condition": 2}}))
    space = Space.of(study, CARD)
    assert not space.settle(conditions(5.0, 9.0, 1.0)).settled
    settled = space.settle(conditions(5.0, 9.0, 1.0, 7.0))
    assert settled.settled
    assert len(settled) == len(space) == len({settled.proposal(index).spec for index in range(len(settled))})
    assert [point.clips for point in space.points(CARD, "t", tested=False)] == [()]


def test_candidates_are_the_layers_that_hold_the_module_where_none_are_listed(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"layers": "all"}))
    found = layer_rule(study, MIXTURE)
    assert found is not None
    assert found.candidates == {"mlp": {1: ((1, "up"),)}}


def test_a_listed_candidate_without_the_module_is_refused(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"layers": [0, 1]}))
    with pytest.raises(SpecError, match="layer 0 has no matrix of module 'mlp'; layers that have: 1"):
        layer_rule(study, MIXTURE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {"driver": "algorithm1"}}, "'search.top_k' is 5, but module 'mlp' has 2 candidate layers"),
        ({"space": {"layers": {"top_condition": 9}}}, "top_condition' is 9, but module 'mlp' has 4 candidate layers"),
    ],
)
def test_more_layers_than_there_are_cannot_be_kept(make_study: MakeStudy, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=rf"{words}; expected at most as many. Lower it"):
        layer_rule(check_study(make_study(**changes)), CARD)


def test_in_algorithm_1_the_untouched_model_wins_only_as_a_clip_rate(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"modules": ["q"]}))
    space = Space.of(study, CARD).settle(conditions(1.0, 2.0))
    points = space.points(CARD, "t", tested=True)
    assert [(clip.layer, clip.clip_rate) for point in points for clip in point.clips] == [(1, 0), (1, 0.5), (1, 0.9)]
    assert points[0].trial_ids == points[1].baseline_ids
