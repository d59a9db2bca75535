"""Six faults at random system calls; ``make chaos`` makes them all."""

import random
from pathlib import Path

import pytest

from tests.chaos.system_calls import measure
from tests.chaos.tools.runner import Log, Wanted
from tests.chaos.tools.strace import missing_strace

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_fault_at_any_of_six_system_calls_loses_repeats_and_changes_nothing(tmp_path: Path) -> None:
    if (missing := missing_strace()) is not None:
        pytest.skip(missing)
    seed = random.randrange(10**6)  # other calls each time; the seed is told where one fails
    with (tmp_path / "log").open("w") as file:
        log = Log(file)
        measure(Wanted(times=6, seed=seed, jobs=1), log)
    assert len(log.verdicts) == 6
    assert [verdict.words for verdict in log.verdicts if verdict.words] == [], (seed, (tmp_path / "log").read_text())
