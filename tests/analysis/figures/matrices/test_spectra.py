import math
from pathlib import Path

import pytest

from clipsweep.analysis.drawing.chart import Dots, Level, Line
from clipsweep.analysis.figures.matrices.spectra import MOST_RANKS, spectra_chart
from tests.analysis.figures.frames import joint_point, marks_of, points_frame
from tests.analysis.figures.matrices.spectra import UP, Q, frame_of
from tests.analysis.winners.points import BASE, rows_of
from tests.trials.clips.test_spectrum import make_spectrum


def test_a_panel_for_each_role_has_a_line_for_each_layer_by_its_depth(tmp_path: Path) -> None:
    chart = spectra_chart(frame_of(tmp_path, *UP, *Q))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["q, 3 × 4", "up, 3 × 4"]
    lines = marks_of(chart, Line)
    assert [(line.name, line.color) for line in lines] == [("layer 0", 0.0), ("layer 1", 1.0), ("layer 2", 2.0)]
    assert (list(lines[0].x), list(lines[0].y)) == ([1, 2, 3], [8.0, 4.0, 2.0])
    assert chart.color_bar is not None
    assert (chart.color_bar.low, chart.color_bar.high) == (0, 2)


def test_the_edges_are_levels_at_their_median(tmp_path: Path) -> None:
    chart = spectra_chart(frame_of(tmp_path, *Q, *UP))
    assert chart is not None
    entries, iqr = marks_of(chart, Level, panel=1)
    assert entries.y == pytest.approx(0.5 * (3**0.5 + 2))
    spreads = [(6 - 3.0) / 1.349, (6 - 2.25) / 1.349, (6 - 2.0) / 1.349]  # quartiles of 9, 3 and 3, 1.5 or 1
    assert iqr.y == pytest.approx(spreads[1] * (1 + (3 / 4) ** 0.5))


def test_without_the_entries_only_the_iqr_edge_is_drawn_and_told(tmp_path: Path) -> None:
    chart = spectra_chart(frame_of(tmp_path, make_spectrum(8.0, 4.0, 2.0)))
    assert chart is not None
    assert [level.name for level in marks_of(chart, Level)] == ["laserRMT's edge"]
    assert "of the entries." in chart.caption


def test_a_star_marks_the_last_singular_value_that_the_winner_keeps(tmp_path: Path) -> None:
    winner = joint_point("joint", (1, "attn", 0.34), (2, "mlp", 0.9))
    points = points_frame([BASE, winner], rows_of(base=[5], joint=[9]))
    chart = spectra_chart(frame_of(tmp_path, *Q, *UP), points)
    assert chart is not None
    (star,), (other,) = marks_of(chart, Dots), marks_of(chart, Dots, panel=1)
    assert (list(star.x), list(star.y), star.texts) == ([2], [4.0], ["layer 1: 2 of 3 kept"])
    assert (list(other.x), list(other.y)) == ([1], [9.0])


def test_no_star_where_the_untouched_model_won(tmp_path: Path) -> None:
    chart = spectra_chart(frame_of(tmp_path, *Q), points_frame([BASE], rows_of(base=[5])))
    assert chart is not None
    assert marks_of(chart, Dots) == []
    assert "Star" not in chart.caption


def test_a_zero_leaves_a_gap(tmp_path: Path) -> None:
    chart = spectra_chart(frame_of(tmp_path, make_spectrum(2.0, 0.0)))
    assert chart is not None
    assert list(marks_of(chart, Line)[0].y) == [2.0, None]


def test_experts_are_drawn_as_their_median_rank_by_rank(tmp_path: Path) -> None:
    experts = [make_spectrum(top, 1.0, role="up", expert=number) for number, top in enumerate((2.0, 4.0, 9.0))]
    chart = spectra_chart(frame_of(tmp_path, *experts))
    assert chart is not None
    assert list(marks_of(chart, Line)[0].y) == [4.0, 1.0]
    assert "median over its experts" in chart.caption


def test_of_many_ranks_the_first_the_last_and_some_between_are_drawn(tmp_path: Path) -> None:
    values = [float(5000 - rank) for rank in range(4096)]
    chart = spectra_chart(frame_of(tmp_path, make_spectrum(*values)))
    assert chart is not None
    (line,) = marks_of(chart, Line)
    assert (line.x[0], line.x[-1], line.y[-1]) == (1, 4096, values[-1])
    assert len(line.x) <= MOST_RANKS
    assert all(math.isfinite(float(y or 0)) for y in line.y)


def test_nothing_is_drawn_of_nothing(tmp_path: Path) -> None:
    assert spectra_chart(frame_of(tmp_path)) is None
