"""The report shows what a screen predicted beside what was seen."""

from dataclasses import replace

import numpy as np

from clipsweep.analysis.report.predicted import predicted_table
from clipsweep.analysis.screens.screens import Screens
from clipsweep.analysis.winners.standings import Standings
from clipsweep.trials.spec.clip import Clip
from tests.analysis.screens.made_up import screened
from tests.analysis.winners.points import BASE, make_point, rows_of

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
    assert "Rank correlation over all 3 complete points: +0.50." in table.caption


def test_points_that_are_not_complete_or_were_not_screened_are_left_out() -> None:
    points = [*POINTS[:2], replace(POINTS[2], clips=(Clip(layer=0, module="mlp", clip_rate=0.75),))]
    rows = {name: row for name, row in ROWS.items() if name != "mlp-1-0.9-0"}
    table = predicted_table(Standings([*points, POINTS[3]], rows), screens_of(0.1, 0.3, 0.5), "accuracy")
    assert [row[3] for row in table.rows] == ["0.5"]
    assert "Rank correlation" not in table.caption
