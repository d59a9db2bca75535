import math

import pytest

from clipsweep.analysis.drawing.chart import Chart, Line
from clipsweep.analysis.figures.theory.trajectory import trajectory_chart
from clipsweep.analysis.frames.point_frame import point_frame
from clipsweep.analysis.frames.trial_frame import trial_frame
from clipsweep.analysis.store.rows import LatestRows
from clipsweep.analysis.winners.standings import Standings
from tests.analysis.figures.frames import marks_of
from tests.analysis.theory_study import norms_of, theory_points, theory_standings


def chart_of(standings: Standings) -> Chart | None:
    assert isinstance(standings.rows, LatestRows)
    return trajectory_chart(trial_frame(standings.rows), point_frame(standings))


def test_the_winners_norms_stand_beside_those_of_the_untouched_model() -> None:
    standings = theory_standings()
    assert standings.winner is not None
    chart = chart_of(standings)
    assert chart is not None
    assert [panel.title.partition(",")[0] for panel in chart.panels] == ["log‖ΔW_t‖", "log‖ΔW_t‖", "log‖G_t‖"]
    for number, name in enumerate(("delta_w", "delta_w_softmax", "implicit_gradient")):
        untouched, clipped = marks_of(chart, Line, number)
        assert (untouched.dashed, clipped.dashed) == (True, False)
        assert list(untouched.y) == pytest.approx(getattr(norms_of(theory_points()[0]), name))
        assert list(clipped.y) == pytest.approx(getattr(norms_of(standings.winner.point), name))
        (clip,) = standings.winner.point.clips
        assert clipped.hollow == [block == clip.layer for block in range(4)]
    assert "of the winner, attn of layer 3 at clip rate 0.75, 4 shots" in chart.caption


def test_a_block_without_a_number_is_a_gap() -> None:
    chart = chart_of(theory_standings(changes={"base-0": (None, -math.inf, 2.0, 2.5)}))
    assert chart is not None
    assert list(marks_of(chart, Line)[0].y) == [None, None, 2.0, 2.5]


def test_of_nothing_measured_nothing_is_drawn() -> None:
    assert chart_of(theory_standings(measured=False)) is None
