from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from clipsweep.analysis.drawing.chart import Level, Line
from clipsweep.analysis.figures.answers.calibration import calibration_chart, reliability_bins
from clipsweep.analysis.row.row import StoredRow
from clipsweep.trials.scores.judge import measure_margins, score_labels
from tests.analysis.figures.frames import marks_of, points_frame, trials_frame
from tests.analysis.store.rows import changed, columns_of
from tests.analysis.winners.points import BASE, GOOD, make_point, rows_of


def answered(row: StoredRow, scores: NDArray[np.float32]) -> StoredRow:
    """The row of a trial that gave these label scores, of which the first is always right."""
    gold = [0] * len(scores)
    outcomes, tally = score_labels(scores, gold)
    margins = measure_margins(scores, gold)
    measured = {"gold_logprob": tally.scores.gold_logprob, "calibration_error": tally.scores.calibration_error}
    return changed(row, **columns_of(outcomes, margins), **measured)


def study(n_labels: int) -> dict[str, StoredRow]:
    rng = np.random.default_rng(0)
    rows = rows_of(base=[5], mlp_1_0__5=[6])
    return {key: answered(row, rng.normal(0, 2, (400, n_labels)).astype(np.float32)) for key, row in rows.items()}


def test_errors_have_a_line_for_each_layer_by_clip_rate_and_a_level_untouched() -> None:
    points = [BASE, make_point(1, 0.5), make_point(1, 0.9), make_point(2, 0.5)]
    found = rows_of(base=[5], mlp_1_0__5=[6], mlp_1_0__9=[6], mlp_2_0__5=[6])
    rows = {
        key: changed(row, calibration_error=error)
        for (key, row), error in zip(found.items(), (0.1, 0.2, 0.3, 0.4), strict=True)
    }
    chart = calibration_chart(trials_frame(rows.values()), points_frame(points, rows))
    assert chart is not None
    one, two = marks_of(chart, Line)
    assert (list(one.x), list(one.y), one.color) == (["0.5", "0.9"], [0.2, 0.3], 1.0)
    assert (list(two.x), list(two.y)) == (["0.5"], [0.4])
    assert [level.y for level in marks_of(chart, Level)] == [0.1]


def test_each_kind_has_a_panel_of_errors() -> None:
    points = [BASE, *(make_point(layer, rate) for layer in (1, 2) for rate in (0.5, 0.9))]
    tails = [replace(point, clips=(replace(point.clips[0], kind="tail"),)) for point in points[3:]]
    rows = rows_of(base=[5], mlp_1_0__5=[6], mlp_1_0__9=[6], mlp_2_0__5=[6], mlp_2_0__9=[6])
    chart = calibration_chart(trials_frame(rows.values()), points_frame([*points[:3], *tails], rows))
    assert chart is not None
    assert [panel.title for panel in chart.panels][:2] == [
        "kind svd: calibration error",
        "kind tail: calibration error",
    ]


def test_the_error_is_the_mean_over_demonstration_seeds() -> None:
    points = [make_point(None, seeds=2), make_point(1, seeds=2)]
    found = rows_of(base=[5, 5], mlp_1_0__5=[6, 6])
    rows = {key: changed(row, calibration_error=0.1 * (1 + int(key[-1]))) for key, row in found.items()}
    chart = calibration_chart(trials_frame(rows.values()), points_frame(points, rows))
    assert chart is not None
    assert list(marks_of(chart, Line)[0].y) == pytest.approx([0.15])


def test_many_clip_rates_lie_on_an_axis_of_numbers() -> None:
    rates = [number / 100 for number in range(20)]
    points = [make_point(None), *(make_point(1, rate) for rate in rates)]
    rows = rows_of(base=[5], **{f"mlp_1_{str(rate).replace('.', '__')}": [6] for rate in rates})
    chart = calibration_chart(trials_frame(rows.values()), points_frame(points, rows))
    assert chart is not None
    assert chart.panels[0].x.kind == "linear"
    assert list(marks_of(chart, Line)[0].x) == rates


def test_reliability_of_two_labels_follows_from_the_margins() -> None:
    rows = study(n_labels=2)
    chart = calibration_chart(trials_frame(rows.values()), points_frame([BASE, GOOD], rows))
    assert chart is not None
    _, untouched, _ = marks_of(chart, Line, panel=1)
    bins = list(reliability_bins(np.asarray(rows["base-0"].margins)))
    assert list(untouched.y) == [each.right for each in bins]
    error = sum(each.count * abs(each.confidence - each.right) for each in bins) / 400
    assert error == pytest.approx(rows["base-0"].calibration_error, abs=1e-3)


def test_reliability_is_not_drawn_of_scores_that_are_no_probabilities() -> None:
    rows = {key: changed(row, calibration_error=None) for key, row in study(n_labels=2).items()}
    assert calibration_chart(trials_frame(rows.values()), points_frame([BASE, GOOD], rows)) is None


def test_where_the_untouched_model_won_the_other_curve_is_of_the_best_clip() -> None:
    rows = study(n_labels=2)
    frame = points_frame([BASE, GOOD], rows)
    untouched, clip = "answers untouched", "answers of the best clip"
    for won, names in ((True, [f"{untouched} (winner)", clip]), (False, [untouched, f"{clip} (winner)"])):
        chart = calibration_chart(trials_frame(rows.values()), frame.assign(is_winner=frame["is_baseline"] == won))
        assert chart is not None
        assert [line.name for line in marks_of(chart, Line, panel=1)[1:]] == names


def test_of_more_labels_margins_tell_no_probability_and_no_reliability_is_drawn() -> None:
    rows = study(n_labels=3)
    chart = calibration_chart(trials_frame(rows.values()), points_frame([BASE, GOOD], rows))
    assert chart is not None
    assert [panel.title for panel in chart.panels] == ["calibration error"]


def test_bins_have_equal_width_and_small_ones_are_left_out() -> None:
    sure, unsure = np.log(0.95 / 0.05), np.log(0.55 / 0.45)
    margin = np.array([sure] * 9 + [-sure] + [unsure] * 3 + [-unsure] * 2 + [np.log(0.75 / 0.25)] * 4)
    assert [(round(each.confidence, 6), each.right, each.count) for each in reliability_bins(margin)] == [
        (0.55, 0.6, 5),
        (0.95, 0.9, 10),
    ]


def test_rows_that_were_stored_without_margins_draw_no_reliability() -> None:
    rows = study(n_labels=2)
    rows["base-0"] = changed(rows["base-0"], margins=None)
    chart = calibration_chart(trials_frame(rows.values()), points_frame([BASE, GOOD], rows))
    assert chart is not None
    assert len(chart.panels) == 1
