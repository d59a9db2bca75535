import math
from collections.abc import Callable
from typing import Any

import pytest

from clipsweep.orchestrator.space.layer_rule import ConditionRule, condition_rule
from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import SpecError, StudyError
from tests.trials.models.test_card import CARD, MIXTURE

MakeStudy = Callable[..., dict[str, Any]]


def conditions(*by_layer: float, role: str = "q") -> dict[tuple[int, str], tuple[float, ...]]:
    return {(layer, role): (value,) for layer, value in enumerate(by_layer)}


def rule(count: int, *, deepest: bool = False, n_layers: int = 4, combination: str = "max") -> ConditionRule:
    candidates = {"q": {layer: ((layer, "q"),) for layer in range(n_layers)}}
    return ConditionRule(candidates=candidates, counts={"q": count}, deepest=deepest, combination=combination)


@pytest.mark.parametrize(
    ("count", "deepest", "expected"), [(1, True, [1]), (2, True, [3]), (3, True, [3]), (2, False, [1, 3])]
)
def test_of_the_layers_with_the_largest_condition_numbers_all_or_the_deepest_are_chosen(
    count: int, deepest: bool, expected: list[int]
) -> None:
    chosen = rule(count, deepest=deepest).choose(conditions(5.0, 9.0, 1.0, 7.0))
    assert chosen is not None
    assert [site.layers for site in chosen] == [(layer,) for layer in expected]


def test_of_equal_condition_numbers_the_lower_layer_comes_first() -> None:
    assert rule(2).leading(conditions(3.0, math.inf, math.inf, math.inf), "q") == [1, 2]


def test_the_stand_in_is_as_many_layers_as_will_be_chosen_in_the_middle() -> None:
    assert rule(2).stand_in() == (((1,), "q"), ((2,), "q"))
    assert rule(3, deepest=True, n_layers=5).stand_in() == (((2,), "q"),)


def test_candidates_are_the_layers_that_hold_the_module_where_none_are_listed(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"layers": "all"}))
    found = condition_rule(study, MIXTURE)
    assert found is not None
    assert found.candidates == {"mlp": {1: ((1, "up"),)}}


def test_a_listed_candidate_without_the_module_is_refused(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"layers": [0, 1]}))
    with pytest.raises(SpecError, match="layer 0 has no matrix of module 'mlp'; layers that have: 1"):
        condition_rule(study, MIXTURE)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {"driver": "algorithm1"}}, "'search.top_k' is 5, but module 'mlp' has 2 candidate layers"),
        ({"space": {"layers": {"top_condition": 9}}}, "top_condition' is 9, but module 'mlp' has 4 candidate layers"),
    ],
)
def test_more_layers_than_there_are_cannot_be_kept(make_study: MakeStudy, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(StudyError, match=rf"{words}; expected at most as many. Lower it"):
        condition_rule(check_study(make_study(**changes)), CARD)
