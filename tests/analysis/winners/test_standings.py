from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.point import Point
from clipsweep.analysis.winners.standings import Standings, Winner, winners_document
from clipsweep.trials.spec.result import TrialState
from tests.analysis.store.rows import changed
from tests.analysis.watch import watch_bootstraps
from tests.analysis.winners.points import BASE, EQUAL, GOOD, make_point, rows_of


def winner_of(points: Sequence[Point], rows: Mapping[str, StoredRow]) -> Winner:
    winner = Standings(points, rows).winner
    assert winner is not None
    return winner


@pytest.fixture
def bootstraps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many examples each bootstrap has that is computed from now on."""
    return watch_bootstraps(monkeypatch)


def test_the_baseline_may_win() -> None:
    winner = winner_of([BASE, GOOD], rows_of(base=[9], mlp_1_0__5=[8]))
    assert winner.point == BASE
    assert (winner.gain.estimate, winner.gain.p_value) == (0.0, 1.0)


def test_the_gain_is_measured_on_test_once_that_has_run() -> None:
    points = [make_point(None, tested=True), make_point(1, tested=True)]
    rows = rows_of(base=[5], mlp_1_0__5=[8])
    before = winner_of(points, rows)
    after = winner_of(points, rows | rows_of(test_base=[6], test_mlp_1_0__5=[7]))
    assert (before.gain.split, before.rows["winner_test"]) == ("validation", None)
    assert after.gain.estimate == pytest.approx(0.1)
    assert after.rows["winner_test"] is not None


def test_no_winner_before_the_baseline_is_known() -> None:
    assert Standings([BASE, GOOD], rows_of(mlp_1_0__5=[8])).winner is None


def test_each_module_has_its_own_winner_and_the_baseline_competes_in_all() -> None:
    attention = make_point(1, module="attn")
    rows = rows_of(base=[7], mlp_1_0__5=[8], attn_1_0__5=[3])
    winners = Standings([BASE, GOOD, attention], rows).winners
    assert winners[4, "mlp"].point == GOOD
    assert winners[4, "attn"].point == BASE


def test_considered_counts_distinct_trials_and_distinct_points() -> None:
    twice = make_point(1)
    winner = winner_of([BASE, GOOD, twice], rows_of(base=[5], mlp_1_0__5=[8]))
    assert (winner.considered, winner.considered_points) == (2, 2)


def test_the_winner_is_picked_by_the_metric_of_its_points() -> None:
    accurate, balanced = (replace(point, metric="macro_f1") for point in (GOOD, EQUAL))
    rows = rows_of(base=[5], mlp_1_0__5=[9], mlp_2_0__5=[7])
    for key, score in (("mlp-1-0.5-0", 0.3), ("mlp-2-0.5-0", 0.6)):
        rows[key] = changed(rows[key], macro_f1=score)
    winner = winner_of([accurate, balanced], rows)
    assert winner.point == balanced
    assert winner.score == 0.6
    assert winner.gain.estimate == pytest.approx(0.2)  # of accuracy: 7 of 10 against 5


def test_the_spread_is_the_standard_deviation_over_seeds() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2)]
    winner = winner_of(points, rows_of(base=[5, 5], mlp_1_0__5=[9, 7]))
    assert winner.spread == pytest.approx(0.1 * 2**0.5)
    assert winner.baseline_spread == 0


def test_one_seed_has_no_spread() -> None:
    winner = winner_of([BASE, GOOD], rows_of(base=[5], mlp_1_0__5=[9]))
    assert winner.spread is None


@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.PARTIAL])
def test_trials_that_a_race_stopped_or_holds_back_were_considered(state: TrialState) -> None:
    rows = rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[3])
    rows["mlp-2-0.5-0"] = changed(rows["mlp-2-0.5-0"], state=state.value)
    assert winner_of([BASE, GOOD, EQUAL], rows).considered == 3


def test_the_points_to_be_run_on_test_are_the_winner_overall_and_that_of_each_module() -> None:
    attention = make_point(1, module="attn")
    rows = rows_of(base=[7], mlp_1_0__5=[8], mlp_2_0__5=[6], attn_1_0__5=[9])
    assert Standings([BASE, GOOD, EQUAL, attention], rows).winning_points == [attention, attention, GOOD]


def test_a_gain_is_measured_once_however_often_it_is_asked_for(bootstraps: list[int]) -> None:
    standings = Standings([BASE, GOOD], rows_of(base=[5], mlp_1_0__5=[8]))
    winner, of_its_group = standings.winner, standings.winners[4, "mlp"]
    assert winner is not None
    assert winner.gain is of_its_group.gain
    for _ in range(3):
        winners_document(standings, winner)
    assert bootstraps == [10]


def test_each_winner_has_a_gain_of_its_own(bootstraps: list[int]) -> None:
    rows = rows_of(base=[5], mlp_1_0__5=[8], attn_1_0__5=[6])
    standings = Standings([BASE, GOOD, make_point(1, module="attn")], rows)
    gains = {key: winner.gain.estimate for key, winner in standings.winners.items()}
    assert gains == {(4, "attn"): pytest.approx(0.1), (4, "mlp"): pytest.approx(0.3)}
    assert bootstraps == [10, 10]


def test_who_won_is_told_without_measuring_a_gain(bootstraps: list[int]) -> None:
    standings = Standings([BASE, GOOD], rows_of(base=[5], mlp_1_0__5=[8]))
    assert standings.winner is not None
    assert standings.winners
    assert standings.winning_points
    assert bootstraps == []
