from dataclasses import replace

import pytest

from clipsweep.analysis.drawing.chart import Band, Dots, Level, Line
from clipsweep.analysis.figures.scores.curves import curve_chart, shots_chart
from clipsweep.analysis.published.read import load_published
from clipsweep.analysis.row.row import StoredRow
from clipsweep.analysis.winners.scores import estimated_score
from clipsweep.trials.spec.clip import Clip
from tests.analysis.figures.frames import at_shots, marks_of, points_frame
from tests.analysis.store.rows import changed
from tests.analysis.winners.points import make_point, rows_of, stopped

POINTS = [make_point(None), *(make_point(layer, rate) for layer in (0, 5) for rate in (0.5, 0.9))]
MANY = [make_point(None), *(make_point(layer, rate) for layer in range(30) for rate in (0.5, 0.9))]


def answered() -> dict[str, StoredRow]:
    """Rows of all points."""
    return rows_of(base=[5], mlp_0_0__5=[3], mlp_0_0__9=[2], mlp_5_0__5=[6], mlp_5_0__9=[8])


def test_a_panel_has_a_line_for_each_layer_the_baseline_and_the_best_point() -> None:
    chart = curve_chart(points_frame(POINTS, answered()))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["mlp"]
    lines = marks_of(chart, Line)
    assert [(line.end_label, line.color) for line in lines] == [("layer 0", 0.0), ("layer 5", 5.0)]
    assert [list(line.y) for line in lines] == [[0.3, 0.2], [0.6, 0.8]]
    assert chart.panels[0].x.categories == ("0.5", "0.9")
    assert [level.y for level in marks_of(chart, Level)] == [0.5]
    (star,) = marks_of(chart, Dots)
    assert (star.symbol, list(star.x), list(star.y)) == ("star", ["0.9"], [0.8])


def test_the_band_is_as_wide_as_what_may_be_chance() -> None:
    frame = points_frame(POINTS, answered())
    chart = curve_chart(frame)
    assert chart is not None
    (band,) = marks_of(chart, Band)
    assert (band.high - band.low) / 2 == pytest.approx(1.959964 * frame.gain_se[frame.gain_se > 0].median())
    assert (band.high + band.low) / 2 == pytest.approx(0.5)
    assert "may be chance" in chart.caption


def test_scores_that_are_no_accuracies_have_no_band() -> None:
    points = [replace(point, metric="macro_f1") for point in POINTS]
    chart = curve_chart(points_frame(points, answered()))
    assert chart is not None
    assert marks_of(chart, Band) == []
    assert chart.panels[0].y.title == "validation macro f1"


def test_log_probabilities_are_nats_and_the_gain_beside_them_is_named() -> None:
    points = [replace(point, metric="gold_logprob") for point in POINTS]
    rows = {name: changed(row, gold_logprob=-1.5, task="rte") for name, row in answered().items()}
    rows["mlp-5-0.9-0"] = changed(rows["mlp-5-0.9-0"], gold_logprob=-1.137)
    chart = curve_chart(points_frame(points, rows), load_published())
    assert chart is not None
    axis = chart.panels[0].y
    assert (axis.title, axis.percent) == ("validation gold logprob, nats", False)
    assert not any(line.dotted for line in marks_of(chart, Line))  # the paper's are accuracies
    texts = marks_of(chart, Line)[1].texts
    assert texts is not None
    assert texts[1] == "layer 5 at clip rate 0.9: gold logprob -1.137 nats, accuracy +30.0 points"


def test_a_stopped_point_is_a_circle_where_it_is_estimated_to_be() -> None:
    rows = answered() | stopped("mlp-5-0.9-0", (True, False, True))
    chart = curve_chart(points_frame(POINTS, rows))
    assert chart is not None
    assert list(marks_of(chart, Line)[1].y) == [0.6, estimated_score(POINTS[4], rows)]
    assert marks_of(chart, Line)[1].hollow == [False, True]
    assert marks_of(chart, Line)[0].hollow is None
    assert [dots.symbol for dots in marks_of(chart, Dots)] == ["circle-open", "star"]


def test_seeds_give_bars() -> None:
    points = [make_point(None, seeds=2), *(make_point(1, rate, seeds=2) for rate in (0.5, 0.9))]
    chart = curve_chart(points_frame(points, rows_of(base=[5, 5], mlp_1_0__5=[4, 6], mlp_1_0__9=[5, 5])))
    assert chart is not None
    assert marks_of(chart, Line)[0].spread == [pytest.approx(0.02**0.5), 0.0]
    assert "over 2 draws of demonstrations" in chart.caption


def test_of_many_layers_the_best_the_first_and_the_last_are_labelled() -> None:
    rows = rows_of(base=[5]) | rows_of(**{f"mlp_{n}_0__{rate}": [4] for n in range(30) for rate in (5, 9)})
    rows |= rows_of(mlp_7_0__5=[9], mlp_12_0__9=[8], mlp_3_0__5=[7])
    chart = curve_chart(points_frame(MANY, rows))
    assert chart is not None
    labels = [line.end_label for line in marks_of(chart, Line) if line.end_label]
    assert labels == ["layer 0", "layer 3", "layer 7", "layer 12", "layer 29"]
    assert chart.color_bar is not None
    assert (chart.color_bar.low, chart.color_bar.high) == (0, 29)


def test_a_range_of_layers_has_a_line_of_its_own_and_other_joint_points_have_none() -> None:
    clips = tuple(Clip(layer=layer, module="mlp", clip_rate=0.9) for layer in (5, 6, 7))
    ranged = replace(make_point(5, 0.9), clips=clips, trial_ids=("range-0",))
    apart = replace(ranged, clips=(clips[0], clips[2]))
    chart = curve_chart(points_frame([*POINTS, ranged, apart], answered() | rows_of(range=[9])))
    assert chart is not None
    assert [line.name for line in marks_of(chart, Line)] == ["layer 0", "layer 5", "layers 5-7"]


def test_each_kind_has_a_panel() -> None:
    tails = [
        replace(point, clips=(replace(point.clips[0], kind="tail"),), trial_ids=(f"tail-{number}",))
        for number, point in enumerate(POINTS[1:])
    ]
    rows = answered() | rows_of(tail=[5, 5, 5, 5])
    chart = curve_chart(points_frame([*POINTS, *tails], rows))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["kind svd", "kind tail"]


def test_figure_1_has_the_most_demonstrations_and_figure_2_a_row_for_each_number() -> None:
    points = [*(at_shots(point, 2) for point in POINTS), *POINTS]
    rows = answered() | {f"2{name}": changed(row, trial_id=f"2{name}", shots=2) for name, row in answered().items()}
    frame = points_frame(points, rows)
    first, second = curve_chart(frame), shots_chart(frame)
    assert first is not None
    assert second is not None
    assert first.caption.endswith("prompt: 4.")
    assert [panel.title for panel in second.panels] == ["2 shots", "4 shots"]
    assert second.columns == 1
    assert shots_chart(points_frame(POINTS, answered())) is None


def test_the_most_demonstrations_are_those_that_have_a_curve() -> None:
    points = [*POINTS, *(at_shots(point, 8) for point in POINTS)]
    later = {f"8{name}": changed(row, trial_id=f"8{name}", shots=8) for name, row in answered().items()}
    for running in (["8base-0"], ["8base-0", "8mlp-5-0.5-0"]):
        chart = curve_chart(points_frame(points, answered() | {name: later[name] for name in running}))
        assert chart is not None
        assert chart.caption.endswith("prompt: 4.")
        assert shots_chart(points_frame(points, answered() | {name: later[name] for name in running})) is None


def test_points_without_a_score_make_no_curve() -> None:
    frame = points_frame(POINTS, answered())
    assert curve_chart(frame.assign(score=frame["score"].where(frame["is_baseline"]))) is None


def test_one_rate_makes_no_curve() -> None:
    assert curve_chart(points_frame(POINTS[:2], answered())) is None


def test_published_curves_of_the_task_are_dotted_in_the_panel_of_their_module() -> None:
    rows = {name: changed(row, task="rte") for name, row in answered().items()}
    chart = curve_chart(points_frame(POINTS, rows), load_published())
    assert chart is not None
    dotted = [line for line in marks_of(chart, Line) if line.dotted]
    assert len(dotted) == 8  # of two models four layers each
    assert len([line for line in dotted if line.end_label]) == 2
    assert "Yao et al. (2024)" in chart.caption
    assert all(0 <= float(line.color or 0) <= 5 for line in dotted)


def test_a_task_that_was_not_published_has_no_dotted_line() -> None:
    chart = curve_chart(points_frame(POINTS, answered()), load_published())
    assert chart is not None
    assert not any(line.dotted for line in marks_of(chart, Line))
