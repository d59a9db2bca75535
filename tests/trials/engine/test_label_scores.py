import pytest
import torch

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.engine.label_scores import LabelScores, charge


def scored(operations: int, seconds: float) -> LabelScores:
    return LabelScores(
        log_likelihoods=torch.zeros(1, 2),
        microbatch=1,
        engine_path="blocks",
        operations=operations,
        seconds=seconds,
    )


def seconds_of(ends: dict[int, LabelScores | EvaluationError]) -> dict[int, float]:
    return {number: end.seconds for number, end in ends.items() if isinstance(end, LabelScores)}


def test_each_trial_is_charged_its_own_time_and_an_equal_part_of_the_rest() -> None:
    ends = {0: scored(1, 1.0), 1: scored(1, 2.0)}
    assert seconds_of(charge(ends, 5.0, by_operations=False)) == {0: 2.0, 1: 3.0}


def test_on_a_gpu_each_trial_is_charged_by_its_operations() -> None:
    ends = {0: scored(1, 1.0), 1: scored(3, 2.0)}
    assert seconds_of(charge(ends, 8.0, by_operations=True)) == {0: 2.0, 1: 6.0}


@pytest.mark.parametrize("by_operations", [True, False])
def test_a_trial_that_failed_is_charged_nothing(by_operations: bool) -> None:
    failed = EvaluationError("not finite")
    charged = charge({0: failed, 1: scored(2, 1.0)}, 3.0, by_operations=by_operations)
    assert charged[0] is failed
    assert seconds_of(charged) == {1: 3.0}


def test_trials_that_all_failed_are_charged_nothing() -> None:
    assert seconds_of(charge({0: EvaluationError("not finite")}, 3.0, by_operations=True)) == {}
