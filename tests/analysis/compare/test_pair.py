import pytest

from clipsweep.analysis.compare.pair import Pair
from clipsweep.analysis.compare.side import Side
from clipsweep.analysis.winners.point import Point
from tests.analysis.compare.sides import evenly, make_side
from tests.analysis.winners.points import BASE, make_point

POINTS = [BASE, make_point(1), make_point(2), make_point(3), make_point(4)]
RIGHT = {"base": [5], "mlp_1_0__5": [6], "mlp_2_0__5": [7], "mlp_3_0__5": [9], "mlp_4_0__5": [4]}


def grid(name: str = "grid", **right: list[int]) -> Side:
    return make_side(name, POINTS, RIGHT | right)


def layers(pair: Pair) -> list[int | None]:
    return [point.clips[0].layer if point.clips else None for point in pair.points]


def test_winners_come_first_and_then_what_differs_most() -> None:
    pair = Pair(first=grid(), second=grid("b", mlp_1_0__5=[10], mlp_2_0__5=[2], mlp_4_0__5=[5]))
    assert layers(pair) == [1, 3, 2, 4, None]  # the winner of the second differs more than that of the first
    assert [point.won for point in pair.points[:2]] == [(False, True), (True, False)]
    assert pair.points[2].scores == (0.7, 0.2)
    assert list(pair.points[2].gains) == pytest.approx([0.2, -0.3])


def test_points_are_paired_where_the_task_is_the_same() -> None:
    other = make_side("b", POINTS, RIGHT, fingerprint="u")
    assert all(point.difference.paired for point in Pair(first=grid(), second=grid("b")).points)
    assert not any(point.difference.paired for point in Pair(first=grid(), second=other).points)


def test_the_same_trial_in_both_is_known_and_checked() -> None:
    pair = Pair(first=grid(), second=grid("b", mlp_4_0__5=[5]))
    assert len(pair.same_trials) == 5
    assert [point.clips[0].layer for point in pair.disagreeing] == [4]


def test_a_point_that_is_not_complete_in_both_is_counted_and_not_compared() -> None:
    seeds = [make_point(None, seeds=2), make_point(1, seeds=2)]
    one = make_side("a", seeds, {"base": [5, 5], "mlp_1_0__5": [6, 6]})
    other = make_side("b", [make_point(None), make_point(1)], {"base": [5]})
    pair = Pair(first=one, second=other)
    assert (len(pair.in_common), layers(pair)) == (1, [None])


@pytest.mark.parametrize(
    ("others", "apart"),
    [
        ([make_point(1, module="attn")], ["modules"]),
        ([make_point(7, 0.9)], ["layers", "clip_rates"]),
        ([make_point(1, 0.9), make_point(7)], []),
    ],
)
def test_axes_without_a_common_value_say_why_no_clip_is_in_both(others: list[Point], apart: list[str]) -> None:
    pair = Pair(first=evenly("a", [BASE, make_point(1)]), second=evenly("b", [BASE, *others]))
    assert not pair.clipped_in_common
    assert pair.apart == apart


def test_winners_are_compared_on_test_once_both_have_run_there() -> None:
    points = [make_point(None, tested=True), make_point(1, tested=True)]
    before = {"base": [5], "mlp_1_0__5": [8]}
    after = before | {"test_base": [5], "test_mlp_1_0__5": [6]}
    one, two = make_side("a", points, after), make_side("b", points, after | {"test_mlp_1_0__5": [9]})
    found = Pair(first=one, second=two).winners
    assert found is not None
    assert (found.first.sum(), found.second.sum()) == (6, 9)
    unfinished = Pair(first=one, second=make_side("b", points, before)).winners
    assert unfinished is not None
    assert unfinished.first.sum() == 8


def test_without_a_winner_there_is_nothing_to_compare() -> None:
    assert Pair(first=grid(), second=make_side("b", [make_point(1)], {"mlp_1_0__5": [5]})).winners is None


def test_bootstraps_are_run_for_as_many_points_as_are_asked_for() -> None:
    pair = Pair(first=grid(), second=evenly("b", POINTS))
    told = pair.document(2)["points"]
    assert [point["difference"]["low"] is None for point in told] == [False, False, True, True, True]
