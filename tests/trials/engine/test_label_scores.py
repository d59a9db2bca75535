import pytest
import torch

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.engine.label_scores import LabelScores, charge
from clipsweep.trials.spec.implicit import ImplicitNorms


def scored(operations: int, seconds: float, measuring: float | None = None) -> LabelScores:
    return LabelScores(
        log_likelihoods=torch.zeros(1, 2),
        implicit=None if measuring is None else norms(measuring),
        microbatch=1,
        engine_path="blocks",
        operations=operations,
        seconds=seconds,
    )


def norms(seconds: float) -> ImplicitNorms:
    return ImplicitNorms(delta_w=(1.0,), delta_w_softmax=(2.0,), implicit_gradient=(3.0,), seconds=seconds)


def measuring_of(ends: dict[int, LabelScores | EvaluationError]) -> dict[int, float]:
    return {
        number: end.implicit.seconds
        for number, end in ends.items()
        if isinstance(end, LabelScores) and end.implicit is not None
    }


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


def test_on_a_gpu_what_measuring_took_is_charged_besides_the_operations() -> None:
    # 1 s of the 9 was measured together, 2 s by the second alone; the other 6 go by operations, 1 to 3
    ends = {0: scored(1, 0.1, 0.0), 1: scored(3, 0.1, 2.0)}
    charged = charge(ends, 9.0, by_operations=True, measuring=1.0)
    assert measuring_of(charged) == {0: 0.5, 1: 2.5}
    assert seconds_of(charged) == {0: 0.5 + 1.5, 1: 2.5 + 4.5}


@pytest.mark.parametrize("by_operations", [True, False])
def test_measuring_is_a_part_of_what_a_trial_is_charged(by_operations: bool) -> None:
    # the untouched model does next to nothing itself, and the pass that measured it is shared
    failed = EvaluationError("not finite")
    charged = charge(
        {0: scored(1, 0.01, 0.0), 1: scored(1000, 3.0, 2.0), 2: failed}, 8.0, by_operations=by_operations, measuring=4.0
    )
    assert measuring_of(charged) == {0: 2.0, 1: 4.0}
    assert all(seconds_of(charged)[number] >= spent for number, spent in measuring_of(charged).items())
    assert sum(seconds_of(charged).values()) == pytest.approx(8.0)
