"""The time left is told when it means something: from trials like those to come, and not before."""

from collections.abc import Sequence

import pytest

from clipsweep.orchestrator.plan.amount import Amount
from clipsweep.orchestrator.progress.time_left import TimeLeft


def seen(seconds: Sequence[float], work: Sequence[float]) -> TimeLeft:
    """After trials that took so long, one after the other, and cost so much."""
    told, now, ended = TimeLeft(), 0.0, Amount()
    told.start(now)
    for each, cost in zip(seconds, work, strict=True):
        now, ended = now + each, ended + Amount(trials=1, work=cost)
        told.note(now, ended)
    return told


def test_a_first_trial_that_pays_for_what_all_share_tells_nothing() -> None:
    assert seen([60.0], [1.0]).seconds(Amount(trials=48, work=48.0)) is None


def test_the_first_trial_is_left_out_of_the_pace() -> None:
    told = seen([60.0] + [0.5] * 10, [1.0] * 11)
    assert told.seconds(Amount(trials=20, work=20.0)) == pytest.approx(10.0)


def test_while_cheap_trials_alone_were_seen_the_whole_pass_before_them_tells_what_work_takes() -> None:
    told = seen([20.0] + [1.0] * 20, [10.0] + [0.01] * 20)  # 2 s for work of 1, and 1 s for being a trial
    really = 100 * 1.0 + 100.0 * 2.0
    seconds = told.seconds(Amount(trials=100, work=100.0))
    assert seconds is not None
    assert really / 2 < seconds < really * 2


def test_once_dear_trials_have_been_seen_what_is_left_is_told() -> None:
    work = [0.1] * 20 + [1.0] * 20
    told = seen([0.2 + 2.0 * cost for cost in work], work)  # 0.2 s for a trial and 2 s for its work
    assert told.seconds(Amount(trials=50, work=200.0)) == pytest.approx(0.2 * 50 + 2.0 * 200, rel=0.1)


def test_a_run_that_becomes_faster_is_believed() -> None:
    told = seen([10.0] * 20 + [1.0] * 200, [1.0] * 220)
    assert told.seconds(Amount(trials=10, work=10.0)) == pytest.approx(10.0)
