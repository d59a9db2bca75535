"""Races as pure rules, and as drivers over outcomes that are made up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipsweep.analysis.row.row import Record, StoredRow
from clipsweep.orchestrator.drivers.driver import Driver
from clipsweep.orchestrator.drivers.fixed import FixedDriver
from clipsweep.orchestrator.drivers.race_rules import Entry, SequentialTest, halving_share, make_race
from clipsweep.orchestrator.drivers.racing_driver import RacingDriver
from clipsweep.orchestrator.drivers.stopping import Earlier, StoppingDriver
from clipsweep.orchestrator.space.proposal import Choice, Proposal
from clipsweep.orchestrator.study.schema import SearchSection
from clipsweep.trials.spec.clip import Clip
from clipsweep.trials.spec.ladder import make_rungs
from clipsweep.trials.spec.trial import TrialSpec
from tests.analysis.store.rows import columns_of

N_ROWS = 640  # rungs 20, 40, 80, 160, 320, 640


def propose(number: int | None, seed: int = 0, shots: int = 2) -> Proposal:
    """A point by its number; None for the untouched model."""
    clips = () if number is None else (Clip(layer=number, module="mlp", clip_rate=0.5),)
    spec = TrialSpec(model="m", task="t", shots=shots, demo_seed=seed, split="validation", clips=clips)
    return Proposal(spec=spec)


def answer(
    proposal: Proposal,
    outcomes: Sequence[bool],
    *,
    state: str | None = None,
    margins: Sequence[float] | None = None,
    trial_id: str | None = None,
) -> StoredRow:
    """The row of a proposal's first rows."""
    seen = outcomes[: proposal.rows]
    told: Record = {
        "trial_id": trial_id or repr(proposal.spec),
        "state": state or ("complete" if len(seen) == len(outcomes) else "partial"),
        "seconds": 36.0,
    }
    return StoredRow.of(told | columns_of(seen, margins))


def drive(driver: Driver, outcomes: Mapping[Any, Sequence[bool]], calls: int = 4) -> dict[int | None, int]:
    """Run a driver to its end with so many proposals at once; rows that each point has seen, in all its seeds."""
    seen: dict[int | None, int] = {}
    while not driver.done:
        asked = driver.ask(calls)
        assert asked or driver.done, "a driver for which nothing runs asks, or is done"
        for proposal in asked:
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            row = answer(proposal, outcomes[number, proposal.spec.demo_seed])
            seen[number] = max(seen.get(number, 0), row.n_examples)
            driver.tell(proposal, row)
    return seen


def rates(*means: float, n_rows: int = N_ROWS, seed: int = 0) -> dict[Any, Sequence[bool]]:
    """Outcomes of points with these chances of being right; the first is the untouched model's."""
    rng = np.random.default_rng(seed)
    points = [None, *range(len(means) - 1)]
    shared = rng.random(n_rows)
    return {(point, 0): list(map(bool, shared < mean)) for point, mean in zip(points, means, strict=True)}


class Learner(FixedDriver):
    """A fixed list in the guise of a driver that learns; keeps what it was told."""

    adaptive = True

    def __init__(self, proposals: Sequence[Proposal]) -> None:
        super().__init__(proposals)
        self.told: list[tuple[Proposal, StoredRow]] = []
        self.begun: set[Choice] = set()

    def ask(self, count: int) -> list[Proposal]:
        asked = super().ask(count)
        self.begun |= {proposal.choice for proposal in asked}
        return asked

    def tell(self, proposal: Proposal, row: StoredRow) -> None:
        self.told.append((proposal, row))

    @property
    def owing(self) -> bool:
        return bool(self._left) and self._left[0].choice in self.begun


def raced(
    driver: Driver,
    race: str = "halving",
    limit: int | None = None,
    n_seeds: int = 1,
    n_rows: int = N_ROWS,
    **search: Any,
) -> Driver:
    rule = make_race(SearchSection(race=race, **search), waits=not driver.adaptive, limit=limit)
    assert rule is not None
    return RacingDriver(driver, rule, make_rungs(n_rows), n_seeds)


def points(count: int) -> list[Proposal]:
    return [propose(None), *map(propose, range(count))]


@pytest.mark.parametrize("calls", [1, 5, 40])
def test_halving_lets_half_of_each_rung_go_on(calls: int) -> None:
    outcomes = rates(0.5, *np.linspace(0.2, 0.9, 16))
    seen = drive(raced(FixedDriver(points(16))), outcomes, calls)
    assert seen[None] == N_ROWS
    counts = sorted(rows for point, rows in seen.items() if point is not None)
    assert counts == [20] * 8 + [40] * 4 + [80] * 2 + [160] + [640]
    assert seen[15] == N_ROWS


def test_halving_costs_an_eighth_of_the_rows() -> None:
    seen = drive(raced(FixedDriver(points(100))), rates(0.5, *np.linspace(0.2, 0.9, 100)))
    assert sum(seen.values()) / (101 * N_ROWS) < 0.14


def test_those_that_are_right_by_the_larger_margins_go_on() -> None:
    driver, right = raced(FixedDriver(points(4))), [True, True, False, True]
    margins = {None: 0.5, 0: 0.3, 1: 0.4, 2: 0.9, 3: 0.5}  # of right answers; wrong ones are behind by 1
    seen: dict[int | None, int] = {}
    while not driver.done:
        for proposal in driver.ask(9):
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            ahead = [margins[number] if each else -1.0 for each in right] * (N_ROWS // 4)
            row = answer(proposal, right * (N_ROWS // 4), margins=ahead[: proposal.rows])
            seen[number] = row.n_examples
            driver.tell(proposal, row)
    assert [seen[number] for number in (0, 1, 2, 3)] == [20, 20, N_ROWS, 40]


@pytest.mark.parametrize("n_rows", [100, 640, 8000])
def test_what_halving_will_leave_of_the_rows_is_known_beforehand(n_rows: int) -> None:
    count = 2 ** len(make_rungs(n_rows))
    driver = raced(FixedDriver(points(count)[1:]), n_rows=n_rows)
    seen = drive(driver, rates(0.5, *np.linspace(0.2, 0.9, count), n_rows=n_rows), calls=count)
    assert sum(seen.values()) / (count * n_rows) == pytest.approx(halving_share(n_rows), abs=0.01)


def test_a_driver_that_learns_is_told_before_all_have_arrived() -> None:
    learner = Learner(points(16))
    outcomes = rates(0.5, *np.linspace(0.9, 0.2, 16))
    seen = drive(raced(learner), outcomes, calls=1)
    assert seen[0] == N_ROWS  # the best came first
    assert {proposal.choice for proposal, _ in learner.told} == {each.choice for each in points(16)}
    first = {proposal.choice: number for number, (proposal, _) in reversed(list(enumerate(learner.told)))}
    assert first[propose(5).choice] < first[propose(15).choice]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_someone_always_finishes(count: int) -> None:
    for driver in (FixedDriver(points(count)), Learner(points(count))):
        seen = drive(raced(driver), rates(0.5, *[0.6] * count))
        assert max(rows for point, rows in seen.items() if point is not None) == N_ROWS


def test_points_race_those_of_the_same_shots() -> None:
    proposals = [propose(number, shots=shots) for shots in (0, 4) for number in (None, 0, 1)]
    outcomes = {**rates(0.5, 0.9, 0.8)}
    driver, whole = raced(FixedDriver(proposals)), set()
    while not driver.done:
        for proposal in driver.ask(3):
            row = answer(proposal, outcomes[proposal.spec.clips[0].layer if proposal.spec.clips else None, 0])
            whole |= {proposal.choice} if row.n_examples == N_ROWS else set()
            driver.tell(proposal, row)
    assert whole == {propose(number, shots=shots).choice for number in (None, 0) for shots in (0, 4)}


@pytest.mark.parametrize("learns", [False, True])
def test_of_each_module_one_finishes_where_the_points_are_not_chosen_by_results(learns: bool) -> None:
    clips = [Clip(layer=layer, module=module, clip_rate=0.5) for layer in range(8) for module in ("mlp", "attn")]
    proposals = [replace(propose(0), spec=replace(propose(0).spec, clips=(clip,))) for clip in clips]
    chances = {clip: 0.5 + 0.05 * clip.layer - 0.4 * (clip.module == "attn") for clip in clips}
    driver = raced(Learner(proposals) if learns else FixedDriver(proposals))
    shared, finished = np.random.default_rng(0).random(N_ROWS), set()
    while not driver.done:
        for proposal in driver.ask(16):
            [clip] = proposal.spec.clips
            row = answer(proposal, (shared < chances[clip]).tolist())
            finished |= {clip} if row.n_examples == N_ROWS else set()
            driver.tell(proposal, row)
    assert {clip.module for clip in finished} == ({"mlp"} if learns else {"mlp", "attn"})
    assert learns or [clip.layer for clip in finished if clip.module == "attn"] == [7]


def test_the_seeds_of_a_point_race_as_one() -> None:
    outcomes = {(number, seed): [number != 1 or seed == 0] * N_ROWS for number in (None, 0, 1) for seed in (0, 1)}
    proposals = [propose(number, seed) for seed in (0, 1) for number in (None, 0, 1)]
    seen = drive(raced(FixedDriver(proposals), n_seeds=2), outcomes)
    assert seen == {None: N_ROWS, 0: N_ROWS, 1: 20}


def test_parts_that_share_prompts_follow_each_other_at_every_rung() -> None:
    proposals = [propose(number, seed) for seed in (0, 1) for number in range(8)]
    driver = raced(FixedDriver(proposals), n_seeds=2)
    for proposal in driver.ask(16):
        driver.tell(proposal, answer(proposal, [True] * N_ROWS))
    second = driver.ask(16)
    assert [(each.spec.demo_seed, each.spec.clips[0].layer) for each in second] == [
        (seed, number) for seed in (0, 1) for number in range(4)
    ]


def test_points_that_are_the_same_trial_run_once() -> None:
    driver = raced(FixedDriver(points(4)))
    outcomes, seen = rates(0.6, 0.6, 0.5, 0.4, 0.3), set()
    while not driver.done:
        for proposal in driver.ask(9):
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            row = answer(proposal, outcomes[number, 0], trial_id="untouched" if number in (None, 0) else None)
            seen.add((number, row.n_examples))
            driver.tell(proposal, row)
    assert max(rows for number, rows in seen if number == 0) == 20
    assert max(rows for number, rows in seen if number == 1) == N_ROWS


def test_a_failed_trial_leaves_the_race() -> None:
    driver = raced(FixedDriver(points(2)))
    outcomes = rates(0.5, 0.9, 0.6)
    finished = set()
    while not driver.done:
        for proposal in driver.ask(9):
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            row = answer(proposal, outcomes[number, 0], state="failed" if number == 0 else None)
            finished |= {number} if row.n_examples == N_ROWS else set()
            driver.tell(proposal, row)
    assert finished == {None, 1}


def test_a_row_with_fewer_rows_than_asked_for_is_asked_for_again() -> None:
    driver = raced(FixedDriver([propose(0)]), "test")
    [first] = driver.ask(1)
    driver.tell(first, answer(first, rates(0.5, 0.5)[0, 0]))
    [second] = driver.ask(1)
    assert (first.rows, second.rows) == (20, 40)
    driver.tell(second, answer(first, rates(0.5, 0.5)[0, 0]))
    assert driver.ask(1) == [second]


def test_the_test_stops_what_collapses_and_keeps_what_is_close() -> None:
    outcomes = rates(0.8, 0.8, 0.79, 0.3)
    seen = drive(raced(FixedDriver(points(3)), "test", limit=4), outcomes)
    assert seen[None] == seen[0] == seen[1] == N_ROWS
    assert seen[2] <= 80


def stops(race: SequentialTest, mean: float, rng: np.random.Generator) -> bool:
    """Whether an entry that is better by ``mean`` is stopped by the untouched model at any rung of 2,000 rows."""
    right = rng.random(2000) < 0.8
    better = np.where(rng.random(2000) < 0.2, rng.random(2000) < 0.8 + 5 * mean, right)
    reference, entry = (Entry(number=number, shots=0, untouched=not number) for number in (0, 1))
    for rows in make_rungs(2000)[:-1]:
        for each, outcomes in ((reference, right), (entry, better)):
            each.reach(outcomes[:rows].astype(float), float(outcomes[:rows].mean()))
            race.finished(each) if each is reference else race.arrived(each)
        if not race.going_on(last_call=False):
            return True
    return False


def test_an_entry_that_is_better_by_the_margin_is_stopped_less_often_than_the_error_rate() -> None:
    rng = np.random.default_rng(0)
    stopped = [stops(SequentialTest(indifference=0.01, error_rate=0.2, limit=2), 0.01, rng) for _ in range(400)]
    assert np.mean(stopped) <= 0.2


def test_an_entry_that_is_worse_is_stopped() -> None:
    rng = np.random.default_rng(0)
    stopped = [stops(SequentialTest(indifference=0.01, error_rate=0.2, limit=2), -0.03, rng) for _ in range(50)]
    assert np.mean(stopped) >= 0.8


@given(st.integers(2, 40))
def test_without_a_limit_an_entry_s_shares_of_the_error_rate_add_up_to_no_more_than_all(count: int) -> None:
    race = SequentialTest(indifference=0.0, error_rate=1.0, limit=None)
    entries = [Entry(number=number, shots=0) for number in range(count)]
    for entry in entries:
        shares = (race._shares(entry, other) for other in entries if other is not entry)
        assert sum(1 / share for share in shares) <= 1


def stopping(driver: Driver, **rules: Any) -> StoppingDriver:
    return StoppingDriver(driver, SearchSection(**rules))


def test_no_point_begins_after_n_trials() -> None:
    driver = stopping(FixedDriver(points(9)), n_trials=3)
    assert set(drive(driver, rates(*[0.5] * 10))) == {None, 0, 1, 2}
    assert driver.reason == "search.n_trials: 3"


def test_all_seeds_of_the_points_that_have_begun_are_run() -> None:
    proposals = [propose(number, seed) for seed in (0, 1) for number in range(5)]
    driver = StoppingDriver(FixedDriver(proposals), SearchSection(n_trials=2), n_seeds=2)
    assert [(each.spec.clips[0].layer, each.spec.demo_seed) for each in driver.ask(99)] == [
        (0, 0),
        (1, 0),
        (0, 1),
        (1, 1),
    ]


def test_a_driver_that_learns_is_asked_for_all_seeds_of_its_last_point() -> None:
    proposals = [propose(number, seed) for number in (None, 0, 1, 2) for seed in (0, 1)]
    driver = StoppingDriver(Learner(proposals), SearchSection(n_trials=2), n_seeds=2)
    outcomes = {(number, seed): [True] * N_ROWS for number in (None, 0, 1, 2) for seed in (0, 1)}
    asked: list[Proposal] = []
    while not driver.done:
        for proposal in driver.ask(1):
            asked.append(proposal)
            number = proposal.spec.clips[0].layer if proposal.spec.clips else None
            driver.tell(proposal, answer(proposal, outcomes[number, proposal.spec.demo_seed]))
    assert asked == proposals[:6]


def test_patience_is_counted_from_the_last_improvement() -> None:
    driver = stopping(FixedDriver(points(30)), patience=3)
    outcomes = rates(0.5, 0.4, 0.6, 0.55, 0.3, *[0.59] * 26)
    assert set(drive(driver, outcomes, calls=1)) == {None, 0, 1, 2, 3, 4}
    assert driver.reason == "search.patience: 3"


def test_patience_counts_a_point_once_however_often_a_race_tells_it_and_the_untouched_model_never() -> None:
    driver = stopping(FixedDriver(points(9)), patience=2)
    [untouched, first] = driver.ask(2)
    driver.tell(first, answer(first, [True] * N_ROWS))
    for _ in range(3):
        driver.tell(untouched, answer(untouched, [False] * N_ROWS))
        driver.tell(propose(7), answer(propose(7), [False] * N_ROWS))
    assert driver.reason is None
    driver.tell(propose(8), answer(propose(8), [False] * N_ROWS))
    assert driver.reason == "search.patience: 2"


def test_hours_of_stored_rows_count_towards_gpu_hours() -> None:
    rows = {"old": StoredRow.of({"seconds": 3500.0})}
    driver = StoppingDriver(FixedDriver(points(30)), SearchSection(max_gpu_hours=1), earlier=Earlier(rows=rows))
    assert set(drive(driver, rates(*[0.5] * 31), calls=1)) == {None, 0, 1}  # 36 s each
    assert driver.reason == "search.max_gpu_hours: 1"


def test_the_clock_stops_a_search() -> None:
    driver = stopping(FixedDriver(points(30)), max_hours=1e-9)
    assert list(drive(driver, rates(*[0.5] * 31))) == [None]


def test_a_race_goes_on_to_its_end_after_the_last_point() -> None:
    driver = raced(stopping(FixedDriver(points(30)), n_trials=8))
    seen = drive(driver, rates(*[0.5] * 31))
    assert len(seen) == 9
    assert [rows for point, rows in seen.items() if point is not None].count(N_ROWS) == 1
