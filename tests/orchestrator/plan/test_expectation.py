"""What a search is expected to find and to cost, from curves solved by hand."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from clipsweep.orchestrator.plan import expectation, speed
from clipsweep.orchestrator.plan.estimate import plan_study
from clipsweep.orchestrator.plan.expectation import n_trials_told
from clipsweep.orchestrator.plan.prepare import prepare
from clipsweep.orchestrator.study.check import check_study
from tests.orchestrator.plan.test_replayed import TEN, THIRTY, WHOLE

MakeStudy = Callable[..., dict[str, Any]]
Plan = Callable[..., dict[str, Any]]
BAYES = {"driver": "bayes", "n_trials": 20}
WIDE = {"clip_rates": [rate / 20 for rate in range(1, 16)], "shots": [2]}  # 15 rates in each of two layers
GP_TABLE = [
    replace(
        line, sampler="gp", race="", surface=surface, median=line.median - less, rows_share=1.0, operations_share=1.0
    )
    for line in (TEN, THIRTY)
    for surface, less in (("best", 0.0), ("middling", 0.1), ("worst", 0.5))
]


@pytest.fixture
def plan(make_study: MakeStudy, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Plans a study by a table that was made up."""
    monkeypatch.setattr(expectation, "read_replayed", lambda: [*GP_TABLE, replace(WHOLE, rows_share=0.125)])
    monkeypatch.setattr(speed, "MEASURED_SECONDS", 0.01)

    def make(**sections: Any) -> dict[str, Any]:
        content = make_study(**{"space": WIDE, "task": {"validation_size": 100}} | sections)
        return plan_study(check_study(content), tmp_path / "s", cache)

    return make


def test_a_grid_on_all_rows_says_nothing_of_it(plan: Plan) -> None:
    assert plan()["expectation"] is None


def test_a_search_is_told_at_half_the_trials_planned_at_those_and_at_all_points(plan: Plan) -> None:
    budgets = plan(search=BAYES | {"sampler": "gp", "n_trials": 15})["expectation"]["budgets"]
    assert [each["n_trials"] for each in budgets] == [7, 15, 30]
    assert [each["trials"] for each in budgets[:2]] == [8, 16]  # with the untouched model


def test_the_share_is_that_of_the_surface_in_the_middle_and_of_the_lowest(plan: Plan) -> None:
    middle = plan(search=BAYES | {"sampler": "gp", "n_trials": 15})["expectation"]["budgets"][1]
    assert middle["share_of_gain"] == pytest.approx({"median": 0.5 - 0.1, "lowest": 0.5 - 0.5})
    assert middle["share_of_gain_unlucky"] == pytest.approx({"median": -0.05, "lowest": -0.05})


def test_a_search_on_all_rows_takes_the_hours_of_the_plan(plan: Plan) -> None:
    planned = plan(search=BAYES | {"sampler": "gp", "n_trials": 15})
    less, same, more = planned["expectation"]["budgets"]
    assert same["operations"] == planned["operations"]
    assert less["hours"] < same["hours"] < more["hours"]


def test_a_race_costs_its_share_of_the_rows_and_more_of_few_rows(plan: Plan) -> None:
    planned = plan(search={"driver": "grid", "race": "halving"})["expectation"]
    whole = planned["budgets"][-1]
    of_hundred = (16 + 16 / 2 + 32 / 4 + 36 / 8) / 100  # rungs of 16, 32, 64 and 100 rows
    of_thousand = (32 + 32 / 2 + 64 / 4 + 128 / 8 + 256 / 16 + 488 / 32) / 1000
    assert whole["rows"] == round(0.125 * of_hundred / of_thousand * 31 * 100)


def test_what_is_stored_changes_nothing_of_an_expectation(
    plan: Plan, make_study: MakeStudy, finished_study: Path, cache: Path
) -> None:
    keys = {"space": {}, "search": BAYES | {"sampler": "gp", "n_trials": 4}, "task": {}}
    anew, on_top = plan(**keys), plan_study(check_study(make_study(**keys)), finished_study, cache)
    told = [[(each["rows"], each["operations"]) for each in one["expectation"]["budgets"]] for one in (anew, on_top)]
    assert (anew["trials_to_run"], on_top["trials_to_run"]) == (5, 0)
    assert told[0] == told[1]


def test_more_trials_than_were_replayed_are_marked(plan: Plan) -> None:
    space = WIDE | {"modules": ["attn", "mlp"]}
    budgets = plan(space=space, search=BAYES | {"sampler": "gp", "n_trials": 30})["expectation"]["budgets"]
    assert [(each["n_trials"], each["replayed"]) for each in budgets] == [(15, True), (30, True), (60, False)]
    assert budgets[1]["share_of_gain"] == budgets[2]["share_of_gain"]


def test_a_search_of_another_kind_has_no_surfaces(plan: Plan) -> None:
    planned = plan(search={"driver": "algorithm1", "race": "halving", "top_k": 2})
    assert planned["expectation"] == {"surfaces": [], "budgets": [], "unlike": []}


@pytest.mark.parametrize(
    ("search", "told"),
    [
        ({"driver": "grid", "race": "test"}, [7, 15, 30]),
        ({"driver": "grid", "race": "test", "n_trials": 10}, [5, 10, 20]),
        ({"driver": "bayes", "n_trials": 25}, [6, 12, 25]),
        ({"driver": "bayes", "n_trials": 1}, [1, 2]),
        ({"driver": "bayes", "max_hours": 1.0}, [7, 15, 30]),
        ({"driver": "bayes", "n_trials": 99}, [7, 15, 30]),
    ],
)
def test_three_budgets_are_told_that_the_space_has_room_for(
    make_study: MakeStudy, tmp_path: Path, cache: Path, search: dict[str, Any], told: list[int]
) -> None:
    content = make_study(space=WIDE, task={"validation_size": 100}, search=search)
    assert n_trials_told(prepare(check_study(content), tmp_path / "s", cache).opened) == told


def test_a_range_of_rates_has_room_for_any_number(make_study: MakeStudy, tmp_path: Path, cache: Path) -> None:
    content = make_study(space={"clip_rates": {"high": 0.9}}, search={"driver": "bayes", "max_hours": 1.0})
    assert n_trials_told(prepare(check_study(content), tmp_path / "s", cache).opened) == [25, 50, 100]
