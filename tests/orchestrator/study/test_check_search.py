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
