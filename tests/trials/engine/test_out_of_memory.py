import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
import torch

from clipsweep.trials.base.errors import EvaluationError
from clipsweep.trials.engine.out_of_memory import SHRINKS, Retreat, Room
from clipsweep.trials.prompts.prompts import Prompts, Query


def make_prompts() -> Prompts:
    return Prompts(prefix=(1,), queries=(Query(tokens=(2,), labels=((3,), (4,)), gold=0),))


@dataclass
class FakeRoom(Room):
    """Notes what is asked of it.

    Of trials and of other prompts it holds something once, of trials always where these are refilled, and of captures
    as many halves as are given.
    """

    trials: bool = False
    refilled: bool = False
    others: bool = False
    halves: int = 0
    steps: list[str] = field(default_factory=list)

    def forget_trials(self) -> bool:
        held, self.trials = self.trials, self.refilled
        self.steps += ["forget trials"] if held else []
        return held

    def forget_others(self, prompts: Prompts) -> bool:
        held, self.others = self.others, False
        self.steps += ["forget others"] if held else []
        return held

    def forget(self, prompts: Prompts) -> None:
        self.steps.append("forget")

    def shrink(self) -> bool:
        self.halves -= 1
        self.steps += ["shrink"] if self.halves >= 0 else []
        return self.halves >= 0

    def restore(self) -> None:
        self.steps.append("restore")


@dataclass
class FakeEngine:
    """Runs out of memory so many times, or wherever more than some trials or queries come together."""

    room: FakeRoom
    failures: int = 0
    most_trials: int = 99
    most_queries: int = 99

    def attempt(self, trials: Sequence[str], size: int) -> list[str]:
        self.room.steps.append(f"{len(trials)} at {size}")
        self.failures -= 1
        if self.failures >= 0 or len(trials) > self.most_trials or size > self.most_queries:
            raise torch.OutOfMemoryError("no room")
        return [f"{trial} at {size}" for trial in trials]


def test_what_fits_is_evaluated_once() -> None:
    room = FakeRoom(others=True, halves=9)
    assert Retreat(room).evaluate(FakeEngine(room).attempt, make_prompts(), ["a"], 8) == ["a at 8"]
    assert room.steps == ["restore", "1 at 8"]


def test_less_and_less_is_held_before_less_is_done_at_once() -> None:
    room = FakeRoom(trials=True, others=True, halves=9)
    engine = FakeEngine(room, most_trials=1, most_queries=4)
    assert Retreat(room).evaluate(engine.attempt, make_prompts(), ["a", "b"], 8) == ["a at 4", "b at 4"]
    assert room.steps == [
        "restore",
        "2 at 8",
        "forget trials",
        "2 at 8",
        "forget others",
        "2 at 8",
        *["shrink", "2 at 8"] * SHRINKS,
        "1 at 8",  # one by one
        "forget",
        "restore",
        "1 at 4",
        "1 at 4",
    ]


def test_what_trials_keep_again_and_again_is_given_up_once_for_a_microbatch() -> None:
    room = FakeRoom(trials=True, refilled=True)
    engine = FakeEngine(room, most_trials=1, most_queries=4)
    assert Retreat(room).evaluate(engine.attempt, make_prompts(), ["a", "b"], 8) == ["a at 4", "b at 4"]
    assert [step for step in room.steps if " at " in step] == ["2 at 8", "2 at 8", *["1 at 8"] * 2, "1 at 4", "1 at 4"]


def test_what_others_hold_is_given_up_first_and_nothing_more_if_that_suffices() -> None:
    room = FakeRoom(others=True, halves=9)
    assert Retreat(room).evaluate(FakeEngine(room, failures=1).attempt, make_prompts(), ["a"], 8) == ["a at 8"]
    assert "shrink" not in room.steps


def test_captures_stay_shrunk_for_the_same_prompts_and_are_whole_again_for_others() -> None:
    room, first, second = FakeRoom(halves=9), make_prompts(), make_prompts()
    engine, retreat = FakeEngine(room, failures=1), Retreat(room)
    for prompts in (first, first, second):
        retreat.evaluate(engine.attempt, prompts, ["a"], 8)
    assert room.steps == ["restore", "1 at 8", "shrink", "1 at 8", "1 at 8", "restore", "1 at 8"]


def test_a_part_of_the_same_prompts_keeps_what_was_given_up_for_the_whole() -> None:
    room, prompts = FakeRoom(), make_prompts()
    engine, retreat = FakeEngine(room, most_queries=2), Retreat(room)
    retreat.evaluate(engine.attempt, prompts, ["a"], 8)
    engine.most_queries = 99
    assert retreat.evaluate(engine.attempt, prompts.part(0, 1), ["a"], 8) == ["a at 2"]


def test_a_halved_microbatch_gives_captures_their_whole_budget_again() -> None:
    room = FakeRoom()
    Retreat(room).evaluate(FakeEngine(room, most_queries=2).attempt, make_prompts(), ["a"], 8)
    assert room.steps == ["restore", "1 at 8", "forget", "restore", "1 at 4", "forget", "restore", "1 at 2"]


def test_a_microbatch_that_fits_is_remembered_for_its_prompts_alone() -> None:
    room, first, second = FakeRoom(), make_prompts(), make_prompts()
    engine, retreat = FakeEngine(room, most_queries=2), Retreat(room)
    retreat.evaluate(engine.attempt, first, ["a"], 8)
    engine.most_queries = 99
    assert retreat.evaluate(engine.attempt, second, ["a"], 8) == ["a at 8"]
    assert retreat.evaluate(engine.attempt, first, ["a"], 8) == ["a at 2"]


def test_a_single_query_takes_all_room_before_it_fails() -> None:
    room = FakeRoom(halves=9)
    (result,) = Retreat(room).evaluate(FakeEngine(room, most_queries=0).attempt, make_prompts(), ["a"], 1)
    assert isinstance(result, EvaluationError)
    assert room.steps.count("shrink") == 9
    assert "a microbatch of one does not fit in the device's memory (no room)" in str(result)


def test_one_trial_that_never_fits_fails_alone() -> None:
    room = FakeRoom()

    def attempt(trials: Sequence[str], size: int) -> list[str]:
        if "large" in trials:
            raise torch.OutOfMemoryError("no room")
        return list(trials)

    small, large = Retreat(room).evaluate(attempt, make_prompts(), ["small", "large"], 2)
    assert small == "small"
    assert isinstance(large, EvaluationError)


def test_another_error_is_raised_at_once() -> None:
    room = FakeRoom(others=True, halves=9)

    def attempt(trials: Sequence[str], size: int) -> list[str]:
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        Retreat(room).evaluate(attempt, make_prompts(), ["a"], 8)
    assert room.steps == ["restore"]


def test_each_step_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    room = FakeRoom(trials=True, others=True, halves=1)
    with caplog.at_level(logging.WARNING, logger="clipsweep"):
        Retreat(room).evaluate(FakeEngine(room, most_trials=1, most_queries=4).attempt, make_prompts(), ["a", "b"], 8)
    assert [record.getMessage() for record in caplog.records] == [
        "out of memory; what was kept for the next parts of trials, and for their theory, is given up",
        "out of memory; what was held of other prompts is given up",
        "out of memory; captured activations give up half of their room",
        "out of memory with 2 trials at once; they run one by one",
        "out of memory; the microbatch is now 4",
    ]
