from dataclasses import replace

from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.pick import pick
from clipsweep.analysis.winners.point import FEWEST_OF_EQUALS, ONE_STANDARD_ERROR, Point
from tests.analysis.store.rows import changed, stored_row
from tests.analysis.winners.points import BASE, EQUAL, GOOD, make_point, rows_of, stopped


def test_the_best_mean_over_demonstration_seeds_wins() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2), make_point(2, seeds=2)]
    rows = rows_of(base=[5, 5], mlp_1_0__5=[9, 3], mlp_2_0__5=[7, 7])
    assert pick(points, rows) == points[2]


def test_of_equals_the_first_wins() -> None:
    rows = rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[8])
    assert pick([BASE, GOOD, EQUAL], rows) == GOOD


def test_a_stopped_point_does_not_compete() -> None:
    rows = rows_of(base=[6]) | stopped("mlp-1-0.5-0", (True, True, True, True))
    assert pick([BASE, GOOD], rows) == BASE


def test_a_point_with_a_missing_seed_does_not_compete() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2)]
    assert pick(points, rows_of(base=[5, 5], mlp_1_0__5=[10])) == points[0]


def sized(**kept: int) -> dict[str, StoredRow]:
    """Rows of the untouched model and three points with these parameters; the second is right where others are not."""
    right = {"base": range(10), "mlp_1": range(15), "mlp_2": [*range(13), 19], "mlp_3": range(5)}
    keys = {name: "base-0" if name == "base" else f"{name.replace('_', '-')}-0.5-0" for name in right}
    return {
        keys[name]: changed(
            stored_row(keys[name], outcomes=tuple(n in rows for n in range(20))), parameters_kept=kept.get(name, 100)
        )
        for name, rows in right.items()
    }


def test_with_two_objectives_the_fewest_parameters_of_equals_win() -> None:
    rows = rows_of(base=[5], mlp_1_0__5=[8], mlp_2_0__5=[8])
    rows["mlp-2-0.5-0"] = changed(rows["mlp-2-0.5-0"], parameters_kept=1)
    points = [replace(point, rule=FEWEST_OF_EQUALS) for point in (BASE, GOOD, EQUAL)]
    assert pick(points, rows) == points[2]
    rows["mlp-1-0.5-0"] = changed(rows["mlp-1-0.5-0"], parameters_kept=1)
    assert pick(points, rows) == points[1]  # of equals in both the first


def by_one_error(*layers: int | None) -> list[Point]:
    return [replace(make_point(layer), rule=ONE_STANDARD_ERROR) for layer in layers]


def test_one_standard_error_takes_the_fewest_parameters_near_the_best() -> None:
    points = by_one_error(None, 1, 2, 3)
    winner = pick(points, sized(mlp_1=90, mlp_2=50, mlp_3=10))  # one of twenty behind
    assert winner == points[2]


def test_one_standard_error_leaves_out_what_is_further_behind() -> None:
    points = by_one_error(None, 1, 3)
    assert pick(points, sized(mlp_1=90, mlp_3=10)) == points[1]


def test_of_as_many_parameters_the_first_near_the_best_wins() -> None:
    points = by_one_error(2, 1)
    assert pick(points, sized(mlp_1=50, mlp_2=50)) == points[0]


def test_one_standard_error_picks_from_a_single_example_too() -> None:
    rows = {
        key: changed(stored_row(key, outcomes=(right,)), parameters_kept=kept)
        for key, right, kept in (("base-0", True, 100), ("mlp-1-0.5-0", True, 90), ("mlp-2-0.5-0", False, 10))
    }
    assert pick(by_one_error(None, 1, 2), rows) == by_one_error(1)[0]
    assert pick(by_one_error(None, 2), rows) == by_one_error(None)[0]
