from pathlib import Path

import pytest

from clipsweep.analysis.drawing.chart import Dots, Line
from clipsweep.analysis.figures.matrices.conditions import condition_chart, ranks_chart
from tests.analysis.figures.frames import marks_of, points_frame
from tests.analysis.figures.matrices.spectra import UP, Q, frame_of
from tests.analysis.winners.points import BASE, make_point, rows_of
from tests.trials.clips.test_spectrum import make_spectrum


def test_condition_numbers_have_a_line_for_each_role_by_layer_on_a_log_axis(tmp_path: Path) -> None:
    chart = condition_chart(frame_of(tmp_path, *Q, *UP))
    assert chart is not None
    assert [(panel.title, panel.y.kind) for panel in chart.panels] == [("attention", "log"), ("MLP", "log")]
    (line,) = marks_of(chart, Line, panel=1)
    assert (line.name, list(line.x)) == ("up", [0, 1, 2])
    assert list(line.y) == pytest.approx([3.0, 6.0, 9.0])


def test_a_star_marks_a_layer_that_the_study_clips_at_the_largest_of_its_matrices(tmp_path: Path) -> None:
    down = [make_spectrum(5.0, 1.0, layer=layer, role="down") for layer in range(3)]
    points = points_frame([BASE, make_point(1)], rows_of(base=[5], mlp_1_0__5=[4]))
    chart = condition_chart(frame_of(tmp_path, *UP, *down, *Q), points)
    assert chart is not None
    (star,) = marks_of(chart, Dots, panel=1)
    assert (list(star.x), list(star.y)) == ([1], [6.0])
    assert marks_of(chart, Dots, panel=0) == []
    assert "Star" in chart.caption


def test_no_star_where_every_layer_is_clipped(tmp_path: Path) -> None:
    rows = rows_of(**{f"mlp_{layer}_0__5": [5] for layer in range(3)})
    points = points_frame([make_point(layer) for layer in range(3)], rows)
    chart = condition_chart(frame_of(tmp_path, *UP), points)
    assert chart is not None
    assert marks_of(chart, Dots) == []


def test_of_experts_the_largest_counts_and_a_singular_matrix_is_told_of(tmp_path: Path) -> None:
    experts = [make_spectrum(4.0, low, role="up", expert=number) for number, low in enumerate((2.0, 1.0))]
    chart = condition_chart(frame_of(tmp_path, *experts, make_spectrum(1.0, 0.0, layer=1, role="up")))
    assert chart is not None
    assert list(marks_of(chart, Line)[0].y) == [4.0, float("inf")]
    assert "A gap is a singular matrix" in chart.caption
    assert "largest among its experts" in chart.caption


def test_a_condition_number_that_float32_only_guesses_is_told_of(tmp_path: Path) -> None:
    chart = condition_chart(frame_of(tmp_path, make_spectrum(1.0, 1e-7)))
    assert chart is not None
    assert "Beyond a million" in chart.caption


def test_ranks_are_shares_of_the_full_rank(tmp_path: Path) -> None:
    chart = ranks_chart(frame_of(tmp_path, make_spectrum(5.0, 5.0, 0.0, 0.0, entry_std=1.0)))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == [
        "attention: effective rank",
        "attention: above the edge of noise",
    ]
    assert list(marks_of(chart, Line)[0].y) == pytest.approx([0.5])
    assert list(marks_of(chart, Line, panel=1)[0].y) == pytest.approx([0.5])  # 5 is above 2 + sqrt(5), 0 is not


def test_the_edge_of_noise_is_left_out_where_the_entries_were_not_measured(tmp_path: Path) -> None:
    chart = ranks_chart(frame_of(tmp_path, make_spectrum(5.0, 5.0)))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["attention: effective rank"]
