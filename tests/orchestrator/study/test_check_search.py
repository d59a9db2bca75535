from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from clipsweep.orchestrator.study.check import check_study
from clipsweep.trials.base.errors import StudyError
from clipsweep.trials.tasks.table import TASKS
from tests.orchestrator.study.test_task_section import DEFINITION, mine

MakeStudy = Callable[..., dict[str, Any]]
BY_ONE_ERROR = {"winner": "one_standard_error"}
REFUSED = "'search.winner' is 'one_standard_error', .* but the task's metric is 'macro_f1'; expected 'best_mean'"


def test_a_rule_of_accuracies_is_refused_for_ones_own_task_of_another_metric(make_study: MakeStudy) -> None:
    content = make_study(task=mine(DEFINITION | {"metric": "macro_f1"}), search=BY_ONE_ERROR)
    with pytest.raises(StudyError, match=REFUSED):
        check_study(content)


def test_a_rule_of_accuracies_is_refused_for_a_shipped_task_of_another_metric(
    make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "sst2", replace(TASKS["sst2"], metric="macro_f1"))
    with pytest.raises(StudyError, match=REFUSED):
        check_study(make_study(task={"name": "sst2"}, search=BY_ONE_ERROR))


@pytest.mark.parametrize("name", ["episodes", "sst2"])
def test_a_rule_of_accuracies_is_taken_for_tasks_that_are_judged_by_accuracy(make_study: MakeStudy, name: str) -> None:
    assert check_study(make_study(task={"name": name}, search=BY_ONE_ERROR)).search.winner == "one_standard_error"


@pytest.mark.parametrize(
    ("search", "space", "words"),
    [
        ({"race": "halving"}, {}, "'search.race' is 'halving', but driver 'compose' decides each step by all rows"),
        (BY_ONE_ERROR, {}, "driver 'compose' ends with what its steps kept; expected 'best_mean'"),
        ({}, {"clips": {"max": 3}}, "'space.clips.max' is 3, but driver 'compose' counts .* set search.max_clips: 3"),
        ({}, {"clip_rates": {"high": 0.9}}, "is a range, but driver 'compose' visits listed rates"),
        ({}, {"clip_rates": [0]}, "clips nothing; expected a rate above 0 for driver 'compose'"),
        ({"seed": 3}, {}, "'search.seed' is 3, but driver 'compose' does not use it"),
    ],
)
def test_what_a_composition_cannot_do_is_refused(
    make_study: MakeStudy, search: dict[str, Any], space: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        check_study(make_study(search={"driver": "compose"} | search, space=space))


def test_the_sampler_neighbours_is_refused_without_the_race_of_that_name(make_study: MakeStudy) -> None:
    search = {"driver": "bayes", "n_trials": 9, "sampler": "neighbours"}
    assert check_study(make_study(search=search | {"race": "neighbours"})).search.race == "neighbours"
    with pytest.raises(StudyError, match=r"search.race: neighbours, not halving. Set it, or take tpe"):
        check_study(make_study(search=search | {"race": "halving"}))
    with pytest.raises(StudyError, match="not null"):
        check_study(make_study(search=search))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"warm_start": ["old"]}, "'search.warm_start' is .*, but sampler 'neighbours' learns from this study's rows"),
        ({"patience": 3}, "'search.patience' is 3, but in race 'neighbours' hardly a point is complete before the end"),
    ],
)
def test_what_the_race_neighbours_cannot_use_is_refused(
    make_study: MakeStudy, more: dict[str, Any], words: str
) -> None:
    search = {"driver": "bayes", "n_trials": 9, "sampler": "neighbours", "race": "neighbours"}
    with pytest.raises(StudyError, match=words):
        check_study(make_study(search=search | more))


@pytest.mark.parametrize("key", ["min_gain", "max_clips"])
def test_the_keys_of_a_composition_are_refused_for_other_drivers(make_study: MakeStudy, key: str) -> None:
    with pytest.raises(StudyError, match=f"'search.{key}' is .*, but driver 'grid' does not use it"):
        check_study(make_study(search={key: 0.5 if key == "min_gain" else 2}))


def test_ranges_are_refused_where_condition_numbers_rank_single_layers(make_study: MakeStudy) -> None:
    with pytest.raises(StudyError, match=r"range \[0, 1\], but driver 'algorithm1' ranks single layers"):
        check_study(make_study(search={"driver": "algorithm1"}, space={"layers": [0, [0, 1]]}))


def test_ranges_are_refused_in_a_joint_search_where_they_would_overlap(make_study: MakeStudy) -> None:
    joint = {"layers": [[0, 1]], "clips": {"max": 2}}
    with pytest.raises(StudyError, match="with space.clips.max: 2 the sampler puts layers together itself"):
        check_study(make_study(search={"driver": "bayes", "n_trials": 3}, space=joint))


@pytest.mark.parametrize("layers", [[[1, 2, 3]], [[1]], [["a", 2]], [[0, 1.5]]])
def test_a_range_that_is_no_pair_of_layers_is_refused(make_study: MakeStudy, layers: list[Any]) -> None:
    with pytest.raises(StudyError, match=r"study key 'space.layers.0.*expected a whole number"):
        check_study(make_study(space={"layers": layers}))


TEXT = {"name": "mine", "text": "rows.jsonl", "validation_size": 100, "test_size": 0}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"search": {"race": "test"}}, "'search.race' is 'test', which goes by answers .*; expected 'halving'"),
        (
            {"search": {"race": "neighbours"}},
            "'search.race' is 'neighbours', .* the task is text, scored by its likeli",
        ),
        (
            {"search": {"screen": {}}},
            "'search.screen' predicts how far .* but the task is text; .* Remove search.screen",
        ),
        ({"space": {"layers": {"top_gradient": 1}}}, "'space.layers.top_gradient' predicts .* take {top_condition: 5}"),
    ],
)
def test_what_goes_by_right_and_wrong_is_refused_of_text(
    make_study: MakeStudy, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(StudyError, match=words):
        check_study(make_study(task=TEXT, **changes))


def test_texts_may_be_halved_and_judged_by_standard_errors(make_study: MakeStudy) -> None:
    check_study(make_study(task=TEXT, space={"shots": [0]}, search={"race": "halving"} | BY_ONE_ERROR))
