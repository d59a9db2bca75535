"""Drivers, races and stopping rules where less is better: the likelihood of text."""

import pytest

from clipsweep.orchestrator.drivers.compose import ComposeDriver
from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.stopping import StoppingDriver
from clipsweep.orchestrator.study.schema import SearchSection
from tests.orchestrator.drivers.raced import N_ROWS, points, raced
from tests.orchestrator.drivers.text_raced import drive_texts, hard_and_easy, text_answer
from tests.orchestrator.space.test_composition import make_space


def test_halving_lets_the_points_of_least_nll_go_on() -> None:
    nats = {None: hard_and_easy(3.0)} | {number: hard_and_easy(3.4 - 0.1 * number) for number in range(8)}
    seen = drive_texts(raced(FixedDriver(points(8))), nats)
    assert [number for number, rows in seen.items() if rows == N_ROWS] == [None, 7]
    assert [seen[number] for number in range(4)] == [20] * 4


def test_a_race_weighs_windows_by_their_tokens() -> None:
    # windows of 30, 40, 50 and 60 tokens in turn: the first point is better in the long ones, the second in the short
    long = [2.0 if number % 4 == 3 else 3.0 for number in range(N_ROWS)]
    short = [2.0 if number % 4 == 0 else 3.0 for number in range(N_ROWS)]
    seen = drive_texts(raced(FixedDriver(points(2))), {None: [2.5] * N_ROWS, 0: short, 1: long})
    assert (seen[0], seen[1]) == (20, N_ROWS)


def test_patience_is_counted_from_the_last_fall() -> None:
    driver = StoppingDriver(FixedDriver(points(30)), SearchSection(patience=3), metric="nll")
    falls = [3.0, 3.2, 2.9, 2.95, 3.1, *[2.91] * 26]
    nats = {number: [fall] * N_ROWS for number, fall in zip([None, *range(30)], falls, strict=True)}
    assert set(drive_texts(driver, nats, calls=1)) == {None, 0, 1, 2, 3, 4}


@pytest.mark.parametrize(("min_gain", "kept"), [(0.05, 2), (0.15, 1)])
def test_a_composition_keeps_what_lowers_nll_by_more_than_min_gain(min_gain: float, kept: int) -> None:
    space = make_space(metric="nll", min_gain=min_gain)
    driver = ComposeDriver(space)
    helps = {(2, "mlp", 0.9): 0.2, (1, "mlp", 0.5): 0.1}
    most = 0
    while not driver.done:
        for proposal in driver.ask(9):
            clips = proposal.spec.clips
            fall = sum(helps.get((clip.layer, clip.module, clip.clip_rate), -0.3) for clip in clips)
            driver.tell(proposal, text_answer(proposal, [3.0 - fall] * N_ROWS))
            most = max(most, len(clips))
    assert most == kept + 1  # what was kept, and one that was tried on top
