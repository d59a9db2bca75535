"""Curves between stored budgets, solved by hand, and the table that comes with the package."""

from dataclasses import replace
from pathlib import Path

import pytest

from clipsweep.orchestrator.plan.replayed import (
    Curve,
    Replayed,
    curves_of,
    kind_of_search,
    read_replayed,
    write_replayed,
)
from clipsweep.orchestrator.study.schema import SearchSection

TEN = Replayed(
    surface="first",
    points=200,
    max_clips=1,
    rows=1000,
    driver="bayes",
    sampler="tpe",
    race="halving",
    n_trials=10,
    seeds=20,
    median=0.4,
    unlucky=-0.2,
    rows_share=0.5,
    operations_share=0.6,
)
THIRTY = replace(TEN, n_trials=30, median=0.8, unlucky=0.4, rows_share=0.3, operations_share=0.2)
HALF = replace(TEN, driver="grid", sampler="", n_trials=100, median=0.6)
WHOLE = replace(HALF, n_trials=200, median=1.0)


def test_between_two_budgets_a_curve_is_straight() -> None:
    found = Curve([THIRTY, TEN]).at(15, 5000)  # a quarter of the way
    assert (found.median, found.unlucky) == pytest.approx((0.5, -0.05))
    assert (found.rows_share, found.operations_share) == pytest.approx((0.45, 0.5))


def test_no_trials_gain_nothing_and_few_cost_what_the_fewest_did() -> None:
    found = Curve([TEN, THIRTY]).at(5, 5000)
    assert (found.median, found.unlucky) == pytest.approx((0.2, -0.1))
    assert (found.rows_share, found.operations_share) == (0.5, 0.6)


def test_beyond_the_largest_budget_a_curve_stays_and_says_so() -> None:
    curve = Curve([TEN, THIRTY])
    assert curve.at(500, 5000) == curve.at(30, 5000)
    assert [curve.reaches(n_trials, 5000) for n_trials in (30, 31)] == [True, False]


def test_a_grid_is_measured_by_the_share_of_its_points() -> None:
    curve = Curve([HALF, WHOLE])
    assert curve.at(3000, 4000).median == pytest.approx(0.8)
    assert curve.reaches(4000, 4000)


def test_curves_are_those_of_the_same_search_one_for_each_surface() -> None:
    other = replace(TEN, surface="other")
    kind = kind_of_search(SearchSection(driver="bayes", race="halving", n_trials=5))
    curves = curves_of(kind, [THIRTY, other, HALF, replace(TEN, race=""), replace(TEN, sampler="gp"), TEN])
    assert [curve.lines for curve in curves] == [[TEN, THIRTY], [other]]


def test_a_sampler_says_nothing_of_a_grid() -> None:
    assert kind_of_search(SearchSection(driver="grid", race="test")) == ("grid", "", "test")


def test_a_table_reads_as_it_was_written(tmp_path: Path) -> None:
    write_replayed([TEN, WHOLE], tmp_path / "table.csv")
    assert read_replayed(tmp_path / "table.csv") == [TEN, WHOLE]


def test_the_table_of_the_package_holds_possible_searches() -> None:
    lines = read_replayed()
    assert {(line.driver, line.sampler, line.race) for line in lines} >= {
        ("grid", "", "halving"),
        ("grid", "", "test"),
        ("bayes", "tpe", ""),
        ("bayes", "tpe", "halving"),
    }
    assert all(line.unlucky <= line.median and 0 < line.rows_share <= 1 for line in lines)
    assert all(line.rows_share == 1 for line in lines if not line.race)
    assert not [line for line in lines if line.driver == "grid" and line.max_clips > 1]
