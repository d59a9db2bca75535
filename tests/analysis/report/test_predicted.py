"""The report shows what a screen predicted beside what was seen."""

import math
from dataclasses import replace

import numpy as np

from clipsweep.analysis.report.predicted import predicted_table
from clipsweep.analysis.screens.screens import Screens
from clipsweep.analysis.winners.smoothing import gain_so_far
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip
from tests.analysis.screens.made_up import screened
from tests.analysis.store.rows import changed
from tests.analysis.winners.points import BASE, make_point, rows_of, stopped

CLIPS = [Clip(layer=1, module="mlp", clip_rate=rate) for rate in (0.5, 0.75, 0.9)]
POINTS = [BASE, *(make_point(1, clip.clip_rate) for clip in CLIPS)]
ROWS = rows_of(base=[5], mlp_1_0__5=[8], mlp_1_0__75=[6], mlp_1_0__9=[4])


def screens_of(*steps: float) -> Screens:
    steady = {clip: np.full(60, step) for clip, step in zip(CLIPS, steps, strict=True)}
    return Screens([screened(steady, shots=BASE.shots)])


def test_the_points_of_which_most_was_expected_come_first_with_what_they_gained() -> None:
    table = predicted_table(Standings(POINTS, ROWS), screens_of(0.1, 0.3, -0.2), "accuracy")
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert [(row["clip rate"], row["gain seen"]) for row in rows] == [
        ("0.75", "+10.0"),
        ("0.5", "+30.0"),
        ("0.9", "-10.0"),
    ]
    assert {row["rows seen"] for row in rows} == {"10"}
    assert "Rank correlation" not in table.caption  # of three points it says nothing


def test_gains_seen_have_their_standard_error() -> None:
    table = predicted_table(Standings(POINTS, ROWS), screens_of(0.1, 0.3, -0.2), "accuracy")
    errors = {row[3]: row[table.columns.index("standard error of that")] for row in table.rows}
    assert errors["0.5"] == f"{100 * math.sqrt(0.3 * 0.7 / 9):.1f}"  # three of ten rows turned right


def test_the_order_is_told_from_eight_points_on() -> None:
    clips = [Clip(layer=1, module="mlp", clip_rate=number / 10) for number in range(1, 9)]
    points = [BASE, *(make_point(1, clip.clip_rate) for clip in clips)]
    right = {f"mlp-1-{clip.clip_rate}".replace("-", "_").replace(".", "__"): [n] for n, clip in enumerate(clips)}
    rows = rows_of(base=[5], **right)
    screens = Screens([screened({clip: np.full(60, 0.1 * n) for n, clip in enumerate(clips)}, shots=BASE.shots)])
    assert (
        "Rank correlation over all 8 evaluated points:"
        in predicted_table(Standings(points, rows), screens, "accuracy").caption
    )
    fewer = predicted_table(Standings(points[:-1], rows), screens, "accuracy")
    assert "Rank correlation" not in fewer.caption


def test_points_that_a_race_stopped_are_told_with_their_rows_and_a_mark() -> None:
    name = "mlp-1-0.9-0"
    rows = ROWS | stopped(name, outcomes=(True, True, True, True, True, True))
    table = predicted_table(Standings(POINTS, rows), screens_of(0.1, 0.3, 0.5), "accuracy")
    found = dict(zip(table.columns, table.rows[0], strict=True))
    gain = gain_so_far(rows[name], rows["base-0"], smoothed=True)
    assert (found["clip rate"], found["gain seen"], found["rows seen"]) == ("0.9", f"{100 * gain:+.1f} ~", "6")
    assert "~: stopped by the race, and estimated from the rows that it has seen" in table.caption
    with_f1 = {key: changed(row, macro_f1=0.5) for key, row in rows.items()}
    other = predicted_table(Standings(POINTS, with_f1), screens_of(0.1, 0.3, 0.5), "macro_f1")
    assert len(other.rows) == 2  # what a few rows say of another metric is not estimated


def test_points_that_are_not_complete_or_were_not_screened_are_left_out() -> None:
    points = [*POINTS[:2], replace(POINTS[2], clips=(Clip(layer=0, module="mlp", clip_rate=0.75),))]
    rows = {name: row for name, row in ROWS.items() if name != "mlp-1-0.9-0"}
    table = predicted_table(Standings([*points, POINTS[3]], rows), screens_of(0.1, 0.3, 0.5), "accuracy")
    assert [row[3] for row in table.rows] == ["0.5"]
    assert "Rank correlation" not in table.caption
