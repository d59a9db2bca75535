from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from clipsweep.analysis.report.trials import trial_data
from clipsweep.analysis.row.row import StoredRow, clip_record
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip
from tests.analysis.report.pages import FAILING, made_up_points, made_up_rows
from tests.analysis.store.rows import changed
from tests.analysis.winners.points import BASE, GOOD, rows_of, stopped


def columns_of(data: dict[str, Any]) -> dict[str, list[Any]]:
    """The values of each column, texts as they are."""
    return {
        each["key"]: [
            each["texts"][value] if "texts" in each and value is not None else value for value in each["values"]
        ]
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


def test_of_several_layers_a_range_is_told_as_one_and_a_rate_where_it_has_a_meaning() -> None:
    def clips(*layers: int, kind: str = "svd") -> tuple[Clip, ...]:
        return tuple(Clip(layer=layer, module="mlp", clip_rate=0.5, kind=kind) for layer in layers)

    clipped = [clips(0, 1, 2), clips(0, 2), clips(4), clips(4, kind="zero")]
    rows: dict[str, StoredRow] = {}
    points = []
    for number, each in enumerate(clipped):
        points.append(replace(GOOD, clips=each, trial_ids=(f"t{number}",), baseline_ids=("b",)))
        row = stopped(f"t{number}", (True,) * (number + 1))[f"t{number}"]
        rows[f"t{number}"] = changed(row, clips=[clip_record(clip) for clip in each])
    told = columns_of(trial_data(Standings(points, rows), "accuracy"))
    assert told["layer"] == ["0-2", None, "4", "4"]
    assert told["rate"] == [0.5, 0.5, 0.5, None]
    assert told["seen"] == [1, 2, 3, 4]


def test_columns_that_tell_nothing_are_left_out(columns: dict[str, list[Any]]) -> None:
    assert "seed" not in columns
    assert "seen" in columns  # none of the trial that failed
    assert {"module", "layer", "rate", "split"} <= set(columns)
