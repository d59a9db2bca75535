from typing import Any

import numpy as np
import pytest

from clipsweep.analysis.report.trials import trial_data
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.report.pages import FAILING, made_up_points, made_up_rows
from tests.analysis.winners.points import BASE, GOOD, rows_of, stopped


def columns_of(data: dict[str, Any]) -> dict[str, list[Any]]:
    """The values of each column, texts as they are."""
    return {
        each["key"]: [each["texts"][value] for value in each["values"]] if "texts" in each else each["values"]
        for each in data["columns"]
    }


@pytest.fixture(scope="module")
def columns() -> dict[str, list[Any]]:
    points = made_up_points()
    return columns_of(trial_data(Standings(points, made_up_rows(points).latest()), "accuracy"))


def test_every_trial_has_a_row_with_its_gain_on_the_examples_that_both_saw(columns: dict[str, list[Any]]) -> None:
    assert len(columns["order"]) == 148
    best = columns["score"].index(0.7)
    assert columns["gain"][best] == 20.0
    assert columns["clip"][0] == "the untouched model"
    assert columns["gain"][0] is None


def test_a_failed_trial_has_no_score_and_no_gain(columns: dict[str, list[Any]]) -> None:
    failed = columns["trial"].index(FAILING[:8])
    assert columns["state"].count("failed") == 1
    assert (columns["state"][failed], columns["score"][failed], columns["gain"][failed]) == ("failed", None, None)


def test_of_a_stopped_trial_the_examples_that_it_saw_are_compared() -> None:
    rows = rows_of(base=[5]) | stopped("mlp-1-0.5-0", (True, True, True, False, True, True))
    data = trial_data(Standings([BASE, GOOD], rows), "accuracy")
    assert columns_of(data)["gain"] == [None, 0.0]  # right on five of six, as the baseline is
    (gain,) = [each for each in data["columns"] if each["key"] == "gain"]
    expected = 196.0 / np.sqrt(6) * np.std([0, 0, 0, -1, 0, 1], ddof=1)
    assert gain["spread"][1] == pytest.approx(expected, abs=0.1)


def test_columns_that_tell_nothing_are_left_out(columns: dict[str, list[Any]]) -> None:
    assert "seed" not in columns
    assert {"module", "layer", "rate", "split"} <= set(columns)
