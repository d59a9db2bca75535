from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clipsweep.orchestrator.space.layer_rule import ConditionRule
from clipsweep.orchestrator.space.pending import PendingSpace, make_space
from clipsweep.orchestrator.space.points import make_points
from clipsweep.orchestrator.space.space import Space
from clipsweep.orchestrator.study.check import check_study
from clipsweep.orchestrator.study.schema import Study
from clipsweep.trials.base.errors import SpecError, StudyError
from clipsweep.trials.clips.spectrum import Conditions
from clipsweep.trials.models.card import ModelCard
from clipsweep.trials.tasks.table import TASKS
from tests.orchestrator.space.spaces import make_subject
from tests.orchestrator.space.test_layer_rule import conditions
from tests.trials.models.test_card import CARD, MIXTURE

MakeStudy = Callable[..., dict[str, Any]]


def pending(study: Study, card: ModelCard = CARD) -> PendingSpace:
    """The space of a study that lets condition numbers choose its layers."""
    made = make_space(study, card)
    assert isinstance(made, PendingSpace)
    return made


def chosen(study: Study, measured: Conditions, card: ModelCard = CARD) -> Space:
    """The same with the layers that these condition numbers choose."""
    space = pending(study, card)
    assert isinstance(space.rule, ConditionRule)
    sites = space.rule.choose(measured)
    assert sites is not None
    return replace(space.stand_in, sites=sites)


def test_each_module_chooses_for_itself(make_study: MakeStudy) -> None:
    study = check_study(make_study(space={"modules": ["mlp", "q"], "layers": {"top_condition": 1}}))
    measured: Conditions = {
        (layer, role): (float(value),)
        for role, values in {"q": (9, 1, 2, 3), "fc_in": (1, 1, 5, 1), "fc_out": (1, 4, 1, 1)}.items()
        for layer, value in enumerate(values)
    }
    assert chosen(study, measured).sites == (((0,), "q"), ((2,), "mlp"))


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
    assert chosen(study, measured).sites == (((expected,), "mlp"),)


def test_experts_count_each(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"layers": "all"}))
    card = replace(MIXTURE, shapes={**MIXTURE.shapes, (0, "up"): MIXTURE.shapes[1, "up"]})
    measured: Conditions = {(0, "up"): (9.0, 2.0), (1, "up"): (3.0, 4.0)}
    assert chosen(study, measured, card).sites == (((0,), "mlp"),)


def test_layers_are_not_chosen_before_all_candidates_are_measured(make_study: MakeStudy) -> None:
    study = check_study(make_study(space={"modules": ["q"], "layers": {"top_condition": 2}}))
    rule = pending(study).rule
    assert isinstance(rule, ConditionRule)
    assert rule.choose(conditions(5.0, 9.0, 1.0)) is None
    assert rule.choose(conditions(5.0, 9.0, 1.0, 7.0)) is not None


def test_what_is_planned_with_has_as_many_points_as_will_be_chosen(make_study: MakeStudy) -> None:
    study = check_study(make_study(space={"modules": ["q"], "layers": {"top_condition": 2}}))
    stand_in, space = pending(study).stand_in, chosen(study, conditions(5.0, 9.0, 1.0, 7.0))
    assert len(space) == len(stand_in) == len({space.proposal(index).spec for index in range(len(space))})


def test_a_study_that_lists_its_layers_has_its_space_at_once(make_study: MakeStudy) -> None:
    space = make_space(check_study(make_study(space={"layers": [3, 0, -1], "modules": ["q", "mlp"]})), CARD)
    assert isinstance(space, Space)
    assert space.sites == (((0,), "q"), ((0,), "mlp"), ((3,), "q"), ((3,), "mlp"))


def test_in_algorithm_1_the_untouched_model_wins_only_as_a_clip_rate(make_study: MakeStudy) -> None:
    study = check_study(make_study(search={"driver": "algorithm1", "top_k": 1}, space={"modules": ["q"]}))
    space = chosen(study, conditions(1.0, 2.0))
    points = make_points(space, space.choices(), make_subject())
    assert [(clip.layer, clip.clip_rate) for point in points for clip in point.clips] == [(1, 0), (1, 0.5), (1, 0.9)]
    assert points[0].trial_ids == points[1].baseline_ids


def test_points_of_a_shipped_task_are_judged_by_its_metric(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "sst2", replace(TASKS["sst2"], metric="macro_f1"))
    space = make_space(check_study(make_study(task={"name": "sst2"})), CARD)
    assert isinstance(space, Space)
    assert {point.metric for point in make_points(space, space.choices(), make_subject())} == {"macro_f1"}


def test_pairs_of_layers_are_ranges_resolved_against_the_model(make_study: MakeStudy) -> None:
    listed = [3, [1, 2], [0, -1], [-3, 2], [3, 3], -1]
    space = make_space(check_study(make_study(space={"layers": listed, "modules": ["q"]})), CARD)
    assert isinstance(space, Space)
    assert space.sites == (((0, 1, 2, 3), "q"), ((1, 2), "q"), ((3,), "q"))


@pytest.mark.parametrize("pair", [[2, 1], [-1, 0], [3, -2]])
def test_a_range_that_ends_before_it_begins_is_refused(make_study: MakeStudy, pair: list[int]) -> None:
    study = check_study(make_study(space={"layers": [0, pair]}))
    with pytest.raises(StudyError, match=r"has the range .*expected the first layer before the last. Write \["):
        make_space(study, CARD)


def test_a_range_that_leaves_the_model_is_refused(make_study: MakeStudy) -> None:
    with pytest.raises(SpecError, match="layer 4 does not exist"):
        make_space(check_study(make_study(space={"layers": [[2, 4]]})), CARD)
