"""What comes from the pool is kept as it comes, and nothing that came before a failure is lost."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace

import pytest

from clipsweep.orchestrator.run import keep_found as module
from clipsweep.orchestrator.run.keep_found import keep_found
from clipsweep.trials.base.errors import (
    ClipsweepError,
    EvaluationError,
    PoolError,
    TakenOverError,
    TaskError,
    WriteError,
)


class Clock:
    """Seconds that pass as the test says."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


def never() -> bool:
    return False


@pytest.mark.parametrize("error", [EvaluationError, PoolError, TaskError])
def test_what_came_before_an_error_of_the_answers_is_kept(error: type[ClipsweepError]) -> None:
    def answers() -> Iterator[list[int]]:
        yield [1, 2]
        yield []
        yield [3]
        raise error("no more")

    kept: list[list[int]] = []
    with pytest.raises(error, match="no more"):
        keep_found(answers(), lambda found: kept.append(list(found)), lambda _: None, never)
    assert kept == [[1, 2, 3]]


def test_who_no_longer_holds_the_study_tries_to_keep_nothing_more(clock: Clock) -> None:
    tried: list[list[int]] = []

    def keep(found: Sequence[int]) -> None:
        tried.append(list(found))
        raise TakenOverError("another process holds it")

    def tell(_: int) -> None:
        clock.now += 20

    with pytest.raises(TakenOverError):
        keep_found([[1], [2]], keep, tell, never)
    assert tried == [[1]]


def test_into_a_folder_that_is_gone_nothing_is_kept() -> None:
    def stopped() -> bool:
        raise WriteError("the folder is gone")

    kept: list[Sequence[int]] = []
    with pytest.raises(WriteError):
        keep_found([[1], [2]], kept.append, lambda _: None, stopped)
    assert kept == []


@pytest.mark.parametrize(
    ("writing", "sizes"),
    [(0, [10] * 10), (1, [10] * 10), (5, [10, 45, 45])],  # 9 times 1 s is less than 10 s; 9 times 5 s is 45 s
)
def test_of_a_large_file_at_most_a_tenth_of_the_time_is_writing(clock: Clock, writing: int, sizes: list[int]) -> None:
    kept: list[Sequence[int]] = []

    def keep(found: Sequence[int]) -> None:
        kept.append(found)
        clock.now += writing

    def tell(_: int) -> None:
        clock.now += 1

    keep_found([[number] for number in range(100)], keep, tell, never)
    assert [number for found in kept for number in found] == list(range(100))
    assert [len(found) for found in kept] == [*sizes, 0]
