"""One study killed at a random moment on Ray, and one without; ``make chaos`` kills hundreds."""

import random
from pathlib import Path

import pytest

from tests.chaos.random_kills import measure
from tests.chaos.tools.runner import Log, Wanted

pytestmark = [pytest.mark.slow, pytest.mark.ray, pytest.mark.timeout(900)]


def test_a_study_killed_at_a_random_moment_loses_repeats_and_changes_nothing(tmp_path: Path) -> None:
    seed = random.randrange(10**6)  # another kill each time; the seed is told where one fails
    with (tmp_path / "log").open("w") as file:
        log = Log(file)
        measure(Wanted(times=1, seed=seed, jobs=1), log)
    assert len(log.verdicts) == 2
    assert [verdict.words for verdict in log.verdicts if verdict.words] == [], (seed, (tmp_path / "log").read_text())
