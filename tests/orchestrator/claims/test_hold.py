import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from clipsweep.orchestrator.claims.claims import Claim, Claims
from clipsweep.orchestrator.claims.hold import Hold, hold
from clipsweep.trials.base.errors import StoreError, StudyBusyError, TakenOverError
from tests.orchestrator.claims.stale import ended_process, left_behind, process_elsewhere, running_process

Take = Callable[..., Hold]
ROUNDS = 20
RACE = """
import multiprocessing, sys
from pathlib import Path
from clipsweep.orchestrator.claims.hold import hold
from clipsweep.trials.base.errors import StudyBusyError
from tests.orchestrator.claims.stale import ended_process, left_behind, process_elsewhere

fork = multiprocessing.get_context("fork")
begin, end = fork.Barrier(6), fork.Barrier(6)

def race(number):
    for folder in sorted(Path(sys.argv[1]).iterdir()):
        begin.wait()
        try:
            with hold(left_behind_claims(folder), "s", lambda: 0, lambda line: None) as held:
                print(folder.name, held.token, flush=True)
                end.wait()
        except StudyBusyError:
            end.wait()

def left_behind_claims(folder):
    from clipsweep.orchestrator.claims.claims import Claims
    return Claims(folder)

for number in range(int(sys.argv[2])):
    left_behind(Path(sys.argv[1]) / f"{number:02}", process_elsewhere() if number % 5 == 0 else ended_process())
racers = [fork.Process(target=race, args=(number,)) for number in range(6)]
[each.start() for each in racers]
[each.join() for each in racers]
"""


@pytest.fixture(autouse=True)
def fast_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPSWEEP_BEAT_SECONDS", "0.05")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def take(tmp_path: Path, said: list[str]) -> Iterator[Take]:
    """Hold the folder of the test until its end."""
    with ExitStack() as held:
        yield lambda lowest=0: held.enter_context(hold(Claims(tmp_path), "s", lambda: lowest, said.append))


@contextmanager
def beating(path: Path) -> Iterator[None]:
    """A process elsewhere that says that it lives."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(0.02):
            path.write_bytes(os.urandom(4))

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_folder_that_is_held_is_refused_with_who_holds_it(take: Take) -> None:
    take()
    with pytest.raises(StudyBusyError, match=rf"s is being run by process {os.getpid()} on .* since .*Wait for it"):
        take()


def test_a_folder_is_free_after_the_block_and_the_next_number_is_higher(tmp_path: Path, said: list[str]) -> None:
    tokens = []
    for _ in range(3):
        with hold(Claims(tmp_path), "s", lambda: 0, said.append) as held:
            tokens.append(held.token)
    assert (tokens, said) == ([1, 2, 3], [])


def test_a_claim_is_above_the_numbers_that_files_carry(take: Take) -> None:
    assert take(lowest=41).token == 42


def test_the_claim_of_a_process_that_has_ended_is_taken_over_at_once(
    take: Take, tmp_path: Path, said: list[str]
) -> None:
    left_behind(tmp_path, ended_process())
    assert take().token == 8
    assert said == []


def test_a_process_elsewhere_that_is_silent_is_waited_for_and_then_taken_over_from(
    take: Take, tmp_path: Path, said: list[str]
) -> None:
    left_behind(tmp_path, process_elsewhere())
    assert take().token == 8
    assert "on elsewhere" in said[0]
    assert "waiting for a sign of life, at most 0.3 s" in said[0]
    assert "is taken over from process" in said[1]


def test_a_process_elsewhere_that_says_that_it_lives_is_not_taken_over_from(take: Take, tmp_path: Path) -> None:
    claims = left_behind(tmp_path, process_elsewhere(), beat_seconds=5)
    with beating(claims.beat_path(7)), pytest.raises(StudyBusyError, match="on elsewhere since"):
        take()


@pytest.mark.parametrize("moment", [0, 4e9])  # long ago, and to come
def test_the_clock_of_another_machine_does_not_matter(take: Take, tmp_path: Path, moment: float) -> None:
    claims = left_behind(tmp_path, process_elsewhere())
    os.utime(claims.beat_path(7), (moment, moment))
    assert take().token == 8


def test_a_process_of_this_machine_that_runs_but_is_silent_is_taken_over_from(
    take: Take, tmp_path: Path, said: list[str]
) -> None:
    claims = left_behind(tmp_path, running_process())
    os.utime(claims.beat_path(7), (0, 0))
    assert take().token == 8
    assert "which has not said lately that it lives" in said[0]


def test_a_torn_claim_is_waited_for(take: Take, tmp_path: Path) -> None:
    claims = left_behind(tmp_path, process_elsewhere())
    (tmp_path / "00000007.json").write_text("{")
    with beating(claims.beat_path(7)), pytest.raises(StudyBusyError, match="a process that is not known"):
        take()


def test_a_process_says_again_and_again_that_it_lives(take: Take, tmp_path: Path) -> None:
    path = Claims(tmp_path).beat_path(take().token)
    first, until = path.read_bytes(), time.monotonic() + 60
    while path.read_bytes() in (b"", first):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_hold_that_was_taken_over_says_from_whom_and_that_it_stops(take: Take, tmp_path: Path) -> None:
    held = take()
    held.check()
    Claims(tmp_path).make(Claim.new(held.token + 1))
    with pytest.raises(TakenOverError, match=rf"s was taken over by process {os.getpid()} .*this run stops.*counts"):
        held.check()


def test_a_hold_whose_folder_is_gone_says_so(tmp_path: Path, said: list[str]) -> None:
    folder = tmp_path / "claims"
    with hold(Claims(folder), "s", lambda: 0, said.append) as held:
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        with pytest.raises(StoreError, match="s was removed, moved or emptied while it was run"):
            held.check()
    assert not folder.exists()


def test_a_folder_that_was_renamed_while_it_was_held_is_free_for_the_same_process(
    tmp_path: Path, said: list[str]
) -> None:
    with hold(Claims(tmp_path / "old"), "s", lambda: 0, said.append):
        (tmp_path / "old").rename(tmp_path / "new")
    with hold(Claims(tmp_path / "new"), "s", lambda: 0, said.append) as held:
        assert held.token == 2
    assert said == []


@pytest.mark.slow
def test_of_processes_that_race_for_a_stale_claim_exactly_one_wins(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", RACE, str(tmp_path), str(ROUNDS)],
        capture_output=True,
        text=True,
        timeout=200,
        env=os.environ | {"CLIPSWEEP_BEAT_SECONDS": "10"},  # of who wins; who lost does not wait for him
    )
    won = done.stdout.split()
    assert won == [word for number in range(ROUNDS) for word in (f"{number:02}", "8")], done.stderr
